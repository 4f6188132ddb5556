"""Variants to the formats of AutoAWQ and GPTQ and back: the same integers, or a refusal with the reason."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitloom.dequantize import dequantized_state
from bitloom.errors import CheckpointError, InputError, PlanError, VariantError
from bitloom.plan import Plan
from bitloom.tensors import index_tensors, read_array
from bitloom.variant import read_manifest
from quantize.foreign.export import export_variant
from quantize.foreign.formats import Format
from quantize.foreign.importing import import_checkpoint
from quantize.pipeline import quantize

AWQ = [
    {"component": "vision", "bits": 3, "container_bits": 4, "group_size": 64, "symmetric": False},
    {"component": "language", "bits": 4, "group_size": 64, "symmetric": False},
    {"layers": "head", "bits": 16},
]
GPTQ = [
    {"component": "vision", "bits": 8, "group_size": 32},
    {"component": "vision", "blocks": "front", "bits": 16},
    {"component": "language", "bits": 4, "group_size": 64},
    {"component": "language", "blocks": "end", "layers": "attention", "bits": 8, "group_size": "channel"},
]


def make(base: Path, out: Path, rules: list[dict[str, Any]]) -> Path:
    quantize(Plan.parse({"name": "p", "base": str(base), "rules": rules}, source="plan"), out)
    return out


def integers_of(variant: Path) -> dict[str, np.ndarray]:
    """Packed words, scales and zero points, with the shape they stand for."""
    keys = ("weight_packed", "weight_scale", "weight_zero_point", "weight_shape")
    entries = index_tensors(variant)
    return {name: read_array(e) for name, e in entries.items() if name.rpartition(".")[2] in keys}


@pytest.mark.parametrize("base", ["llava_base", "blip2_base"])
@pytest.mark.parametrize(("target", "rules"), [("awq", AWQ), ("gptq", GPTQ)])
def test_there_and_back_gives_the_same_integers(
    base: str, target: Format, rules: list[dict[str, Any]], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    directory: Path = request.getfixturevalue(base)
    known = rules if base == "llava_base" else [r for r in rules if r.get("layers") != "head"]
    variant = make(directory, tmp_path / "v", known)
    export_variant(variant, tmp_path / "foreign", target)
    assert not (tmp_path / "foreign" / "variant.json").exists()
    assert (tmp_path / "foreign" / "tokenizer.json").is_file()
    imported = import_checkpoint(str(tmp_path / "foreign"), tmp_path / "back")
    assert all(layer.method == target for layer in imported.layers if layer.bits != 16)
    if target == "awq":  # the container's own width comes back: nobody can tell that 3 bits were enough
        assert {layer.bits for layer in imported.layers} == {4, 16}
    before, after = integers_of(variant), integers_of(tmp_path / "back")
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name], err_msg=name)
    dense = dict(dequantized_state(tmp_path / "back"))
    for name, array in dequantized_state(variant):
        np.testing.assert_array_equal(array, dense[name], err_msg=name)


def test_gptq_declares_what_differs_and_what_is_dense(llava_base: Path, tmp_path: Path) -> None:
    export_variant(make(llava_base, tmp_path / "v", GPTQ), tmp_path / "g", "gptq")
    config = json.loads((tmp_path / "g/config.json").read_text())["quantization_config"]
    assert (config["bits"], config["group_size"], config["sym"], config["lm_head"]) == (4, 64, True, True)

    def matching(name: str) -> list[Any]:
        return [(key[:2], fields) for key, fields in config["dynamic"].items() if re.match(key[2:], name)]

    vision = "vision_tower.vision_model.encoder.layers"
    language = "language_model.model.layers"
    assert matching(f"{vision}.0.self_attn.qkv_proj") == [("-:", {})]
    assert matching(f"{vision}.1.self_attn.qkv_proj") == [("+:", {"bits": 8, "group_size": 32})]
    assert matching(f"{language}.2.self_attn.qkv_proj") == [("+:", {"bits": 8, "group_size": -1})]
    assert matching(f"{language}.2.self_attn.o_proj") == [("+:", {"bits": 8, "group_size": -1})]
    assert matching(f"{language}.2.mlp.gate_up_proj") == matching("language_model.lm_head") == []
    assert matching("multi_modal_projector.linear_1") == [("-:", {})]


REFUSED: dict[str, tuple[Format, list[dict[str, Any]], str]] = {
    "3 bits as awq": ("awq", [{"component": "language", "bits": 3}], "stored in 3 bits, but awq holds 4"),
    "5 bits as gptq": ("gptq", [{"component": "vision", "bits": 5}], "gptq holds 4 or 8; quantize it with"),
    "two group sizes as awq": (
        "awq",
        [{"component": "vision", "bits": 4, "group_size": 32}, {"component": "connector", "bits": 4}],
        "holds one group size",
    ),
    "an asymmetric layer as gptq": (
        "gptq",
        [{"component": "vision", "bits": 4, "symmetric": False}],
        "do not load from gptq; use symmetric: true",
    ),
    "W8A8": (
        "gptq",
        [{"component": "vision", "bits": 8, "group_size": "channel", "activations": 8}],
        "is W8A8, which gptq does not know",
    ),
    "the head as awq": ("awq", [{"layers": "head", "bits": 4}], "lm_head: awq leaves the head dense"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_format_cannot_hold_is_refused(case: str, llava_base: Path, tmp_path: Path) -> None:
    target, rules, message = REFUSED[case]
    variant = make(llava_base, tmp_path / "v", rules)
    (variant / "model.safetensors").unlink()  # no weight may be needed to say so
    started = time.monotonic()
    with pytest.raises(InputError, match=message):
        export_variant(variant, tmp_path / "out", target)
    assert time.monotonic() - started < 1
    assert not (tmp_path / "out").exists()


def test_nothing_quantized_is_nothing_to_export(blip2_base: Path, tmp_path: Path) -> None:
    variant = make(blip2_base, tmp_path / "v", [{"component": "connector", "bits": 4, "group_size": 32}])
    with pytest.raises(InputError, match="nothing to write as gptq"):
        export_variant(variant, tmp_path / "out", "gptq")


def test_a_damaged_variant_is_not_exported(llava_base: Path, tmp_path: Path) -> None:
    variant = make(llava_base, tmp_path / "v", GPTQ)
    content = bytearray((variant / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (variant / "model.safetensors").write_bytes(content)
    with pytest.raises(VariantError, match="SHA-256"):
        export_variant(variant, tmp_path / "out", "gptq")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def exported(llava_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export_variant(make(llava_base, folder / "v", GPTQ), folder / "gptq", "gptq")
    return folder / "gptq"


def changed(exported: Path, tmp_path: Path, change: Any) -> str:
    copy = Path(shutil.copytree(exported, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    change(copy, config["quantization_config"])
    (copy / "config.json").write_text(json.dumps(config))
    return str(copy)


def test_act_order_across_groups_cannot_be_imported(exported: Path, tmp_path: Path) -> None:
    def spread(copy: Path, _: dict[str, Any]) -> None:
        entry = next(e for n, e in index_tensors(copy).items() if n.endswith("mlp.up_proj.g_idx"))
        content = bytearray(entry.path.read_bytes())
        order = np.frombuffer(content, "<i4", entry.count, entry.offset)[::-1].copy()
        content[entry.offset : entry.offset + entry.size] = order.tobytes()
        entry.path.write_bytes(content)

    with pytest.raises(CheckpointError, match=r"up_proj: its groups are spread.*static groups"):
        import_checkpoint(changed(exported, tmp_path, spread), tmp_path / "v")


def test_other_versions_and_formats_are_named(exported: Path, llava_base: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="checkpoint_format 'marlin'; expected gptq or gptq_v2"):
        import_checkpoint(
            changed(exported, tmp_path, lambda _, config: config.update(checkpoint_format="marlin")),
            tmp_path / "v",
        )
    with pytest.raises(CheckpointError, match="quant_method None; awq or gptq"):
        import_checkpoint(str(llava_base), tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_a_mixture_that_no_plan_describes_is_refused(llava_base: Path, tmp_path: Path) -> None:
    export_variant(make(llava_base, tmp_path / "v", GPTQ), tmp_path / "g", "gptq")
    weights = tmp_path / "g" / "model.safetensors"
    header_size = int.from_bytes(weights.read_bytes()[:8], "little")
    content = weights.read_bytes()
    name = "language_model.model.layers.0.mlp.down_proj"
    renamed = content[: 8 + header_size].replace(f"{name}.qweight".encode(), f"{name}.qwe1ght".encode())
    renamed = renamed.replace(f"{name}.qzeros".encode(), f"{name}.qzer0s".encode())
    renamed = renamed.replace(f"{name}.scales".encode(), f"{name}.weight".encode())
    renamed = renamed.replace(f"{name}.g_idx".encode(), f"{name}.g_1dx".encode())
    weights.write_bytes(renamed + content[8 + header_size :])
    with pytest.raises(PlanError, match=r"down_proj is dense, other mlp layers.*plan cannot say that"):
        import_checkpoint(str(tmp_path / "g"), tmp_path / "back")


def test_the_manifest_of_an_import_says_where_it_came_from(exported: Path, tmp_path: Path) -> None:
    import_checkpoint(str(exported), tmp_path / "v")
    manifest = read_manifest(tmp_path / "v")
    assert manifest.base.path == str(exported)
    assert any("imported from a checkpoint in gptq format" in note for note in manifest.notes)
    assert all(layer.relative_error is None for layer in manifest.layers)
