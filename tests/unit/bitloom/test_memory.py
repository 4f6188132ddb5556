"""Which component a module is part of, and what metrics say of a loaded model."""

from __future__ import annotations

import pytest

from bitloom.memory import LoadedMemory, component_of, labelled, parse_gateway, parse_worker
from quantize.families import FAMILIES, Family

GATEWAY = """# TYPE bitloom_weight_bytes gauge
bitloom_variant_info{variant="a",plan="p, \\"q\\"",checkpoint_sha256="12",bpw="4"} 1.0
bitloom_weight_bytes{variant="a",component="vision"} 1.5e+03
bitloom_weight_bytes{variant="a",component="language"} 2000.0
bitloom_weight_bytes{variant="b",component="language"} 7.0
bitloom_predicted_weight_bytes{variant="a",component="language"} 1990.0
bitloom_loaded_resident_bytes{variant="a"} 9000.0
bitloom_loaded_peak_bytes{variant="a"} 9500.0
bitloom_worker_weight_bytes{component="language"} 8.0
"""


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_modules_belong_where_the_families_tables_say(family: Family) -> None:
    names = [f"{stack.prefix}.0.{linear}.weight" for stack in family.stacks for linear in stack.linears]
    names += [f"{single.name}.weight" for single in family.singles]
    names += [f"{prefix}0.weight" for prefix, _ in family.component_prefixes if prefix.endswith(".")]
    names += [prefix for prefix, _ in family.component_prefixes if not prefix.endswith(".")]
    for name in names:
        expected = family.component_of(name)
        assert component_of(name) == expected, name
        # transformers 5 puts everything but the head under `model`.
        assert component_of(f"model.{name}") == expected, name


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("model.language_model.layers.3.mlp.up_proj", "language"),
        ("lm_head.weight", "language"),
        ("model.vision_tower.encoder.layers.0.self_attn.q_proj", "vision"),
        ("model.visual.merger.mlp.0.weight", "connector"),
        ("model.visual.patch_embed.proj.weight", "vision"),
        ("model.query_tokens", "connector"),
    ],
)
def test_modules_of_engines_belong_to_their_components(name: str, component: str) -> None:
    assert component_of(name) == component


def test_a_gateways_metrics_are_read_by_variant() -> None:
    assert parse_gateway(GATEWAY, "a") == LoadedMemory(
        {"vision": 1500, "language": 2000}, 9000, 9500, {"language": 1990}
    )
    assert parse_gateway(GATEWAY, "b") == LoadedMemory({"language": 7})
    assert parse_gateway(GATEWAY, "c") is None


def test_a_worker_speaks_of_itself_only() -> None:
    assert parse_worker(GATEWAY) == LoadedMemory({"language": 8})
    assert parse_worker("vllm:num_requests_running 0.0\n") is None


def test_labels_are_read_with_their_escapes() -> None:
    (labels,) = labelled(GATEWAY, "bitloom_variant_info")
    assert labels["checkpoint_sha256"] == "12"
    assert labels["plan"] == 'p, \\"q\\"'
