"""Checkpoints of several transformers versions, and those that cannot be used."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from bitloom.errors import CheckpointError
from quantize.checkpoint import open_checkpoint
from quantize.families import FAMILIES, Family
from quantize.families.blip2 import BLIP2
from quantize.families.llava import LLAVA
from quantize.layers import list_layers
from quantize.reading import read_tensor


def rewrite_config(directory: Path, **fields: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def rename_in_header(path: Path, old: bytes, new: bytes) -> None:
    """Rename tensors in place; the names must have equal lengths."""
    assert len(old) == len(new)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    ("family", "saved", "written"),
    [
        (LLAVA, "lm_head.weight", "language_model.lm_head.weight"),
        (LLAVA, "model.language_model.norm.weight", "language_model.model.norm.weight"),
        (LLAVA, "language_model.model.norm.weight", "language_model.model.norm.weight"),
        (
            LLAVA,
            "vision_tower.encoder.layers.0.mlp.fc1.bias",
            "vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias",
        ),
        (
            LLAVA,
            "model.vision_tower.vision_model.post_layernorm.bias",
            "vision_tower.vision_model.post_layernorm.bias",
        ),
        (LLAVA, "model.multi_modal_projector.linear_1.bias", "multi_modal_projector.linear_1.bias"),
        (BLIP2, "query_tokens", "query_tokens"),
        (BLIP2, "lm_head.weight", "language_model.lm_head.weight"),
        (BLIP2, "model.query_tokens", "query_tokens"),
        (
            BLIP2,
            "model.language_model.decoder.final_layer_norm.bias",
            "language_model.model.decoder.final_layer_norm.bias",
        ),
    ],
)
def test_names_of_all_versions_become_the_written_ones(family: Family, saved: str, written: str) -> None:
    assert family.written_name(saved) == written
    assert family.written_name(written) == written


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_familys_table_is_complete(family: Family) -> None:
    for stack in family.stacks:
        assert family.component_of(f"{stack.prefix}.0.") == stack.component
        assert any(stack.prefix.startswith(prefix) for prefix, _ in family.targets)
        assert {linear for group in stack.fused for linear in group} <= set(stack.linears)
    for single in family.singles:
        assert family.component_of(f"{single.name}.weight") == single.component


def test_both_naming_styles_of_saved_files_list_the_same_layers(llava_copy: Path) -> None:
    before = list_layers(open_checkpoint(str(llava_copy)))
    rename_in_header(llava_copy / "model.safetensors", b"language_model.model.", b"model.language_model.")
    assert list_layers(open_checkpoint(str(llava_copy))) == before


def test_tensors_are_read_in_their_own_dtype(llava_base: Path) -> None:
    checkpoint = open_checkpoint(str(llava_base))
    tensor = read_tensor(checkpoint.tensors["language_model.lm_head.weight"])
    assert (tuple(tensor.shape), str(tensor.dtype)) == ((160, 128), "torch.bfloat16")
    assert 0 < float(tensor.float().std()) < 1


def test_a_truncated_checkpoint_is_named_within_a_second(llava_copy: Path) -> None:
    path = llava_copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    start = time.process_time()
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: truncated: \d+ bytes, its header promises"
    ):
        open_checkpoint(str(llava_copy))
    assert time.process_time() - start < 1


def test_a_missing_weight_and_a_missing_block_are_named(llava_copy: Path) -> None:
    path = llava_copy / "model.safetensors"
    rename_in_header(path, b"layers.2.mlp.up_proj.weight", b"layers.2.mlp.xx_proj.weight")
    with pytest.raises(CheckpointError, match=r"no tensor language_model\.model\.layers\.2\.mlp\.up_proj"):
        list_layers(open_checkpoint(str(llava_copy)))
    rename_in_header(path, b"language_model.model.layers.1.", b"language_model.model.layers.7.")
    with pytest.raises(CheckpointError, match=r"no tensors of language_model\.model\.layers\.1"):
        list_layers(open_checkpoint(str(llava_copy)))


def test_a_tensor_of_no_component_is_named(llava_copy: Path) -> None:
    rename_in_header(llava_copy / "model.safetensors", b"multi_modal_projector", b"multi_modal_projectoX")
    with pytest.raises(CheckpointError, match=r"multi_modal_projectoX.* belongs to no component of llava"):
        open_checkpoint(str(llava_copy))


def test_an_unknown_architecture_lists_the_known(llava_copy: Path) -> None:
    rewrite_config(llava_copy, architectures=["GPT2LMHeadModel"])
    with pytest.raises(CheckpointError, match=r"GPT2LMHeadModel; Bitloom knows LlavaFor.*Blip2For"):
        open_checkpoint(str(llava_copy))


def test_a_quantized_checkpoint_is_no_base(llava_copy: Path) -> None:
    rewrite_config(llava_copy, quantization_config={"quant_method": "awq"})
    with pytest.raises(CheckpointError, match="is quantized already"):
        open_checkpoint(str(llava_copy))


def test_a_missing_base_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match=re.escape(f"{tmp_path}/absent: no such directory")):
        open_checkpoint(f"{tmp_path}/absent")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"not in the local Hugging Face cache.*hf download some/model"):
        open_checkpoint("some/model")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        open_checkpoint(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        open_checkpoint(str(tmp_path))
