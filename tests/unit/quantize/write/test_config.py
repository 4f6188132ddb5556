"""Module targets: one regex names a layer in every engine, and no other layer."""

from __future__ import annotations

import re

import pytest

from quantize.families import Family
from quantize.families.blip2 import BLIP2
from quantize.families.llava import LLAVA
from quantize.resolve import ResolvedLayer
from quantize.scheme import Scheme
from quantize.write.config import module_targets, variant_config

# written name, then the names of the same module in vLLM 0.32 and in transformers 5.19
NAMES = [
    (
        LLAVA,
        "vision_tower.vision_model.encoder.layers.1.mlp.fc1",
        "vision_tower.vision_model.encoder.layers.1.mlp.fc1",
        "model.vision_tower.encoder.layers.1.mlp.fc1",
    ),
    (
        LLAVA,
        "multi_modal_projector.linear_1",
        "multi_modal_projector.linear_1",
        "model.multi_modal_projector.linear_1",
    ),
    (
        LLAVA,
        "language_model.model.layers.1.self_attn.q_proj",
        "language_model.model.layers.1.self_attn.q_proj",
        "model.language_model.layers.1.self_attn.q_proj",
    ),
    (LLAVA, "language_model.lm_head", "language_model.lm_head", "lm_head"),
    (
        BLIP2,
        "vision_model.encoder.layers.1.self_attn.qkv",
        ".encoder.layers.1.self_attn.qkv",
        "vision_model.encoder.layers.1.self_attn.qkv",
    ),
    (
        BLIP2,
        "language_model.model.decoder.layers.1.fc1",
        "language_model.model.decoder.layers.1.fc1",
        "language_model.model.decoder.layers.1.fc1",
    ),
]


def matching(target: str, names: set[str]) -> set[str]:
    assert target.startswith("re:")
    return {name for name in names if re.match(target.removeprefix("re:"), name)}


@pytest.mark.parametrize(("family", "written", "in_vllm", "in_transformers"), NAMES)
def test_a_target_names_the_module_in_every_engine(
    family: Family, written: str, in_vllm: str, in_transformers: str
) -> None:
    (target,) = module_targets(family, [written])
    others = {name for case in NAMES if case[1] != written for name in case[1:]}
    neighbours = {name.replace(".1.", ".11.") for name in (in_vllm, in_transformers) if ".1." in name}
    neighbours |= {f"{in_vllm}.bias", f"other.{in_vllm}", "qformer.encoder.layer.1.output_query.dense"}
    own = {written, in_vllm, in_transformers}
    assert matching(target, own | others | neighbours) == own


def test_blocks_of_one_linear_share_a_target() -> None:
    names = [f"language_model.model.layers.{block}.mlp.{part}" for block in (0, 2, 10) for part in ("a", "b")]
    targets = module_targets(LLAVA, names)
    assert len(targets) == 2
    assert targets[0].endswith(r"layers\.(0|2|10)\.mlp\.a$")


def layer(name: str, scheme: Scheme | None, stored_dense: str | None = None) -> ResolvedLayer:
    return ResolvedLayer(name, "language", 0, "mlp", (128, 128), "BF16", scheme, stored_dense)


def test_schemes_stored_alike_share_a_group() -> None:
    layers = (
        layer("language_model.model.layers.0.mlp.up_proj", Scheme(bits=4, group_size=64)),
        layer("language_model.model.layers.1.mlp.up_proj", Scheme(bits=3, group_size=64, container_bits=4)),
        layer("multi_modal_projector.linear_1", Scheme(bits=8, group_size="channel", activations=8)),
        layer("multi_modal_projector.linear_2", None),
    )
    config = variant_config({"model_type": "llava"}, LLAVA, layers)["quantization_config"]
    groups = config["config_groups"]
    assert [group["weights"]["num_bits"] for group in groups.values()] == [4, 8]
    assert len(groups["group_0"]["targets"]) == 1
    assert groups["group_1"]["weights"]["strategy"] == "channel"
    assert config["format"] == "mixed-precision"
    assert config["ignore"] == [r"re:^(model\.)?multi_modal_projector\.linear_2$"]


def test_a_config_without_packed_layers_is_the_bases() -> None:
    base = {"model_type": "blip-2"}
    layers = (layer("language_projection", Scheme(bits=4), "plain Linear"),)
    assert variant_config(base, BLIP2, layers) == base
