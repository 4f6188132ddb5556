"""Plan against checkpoint: what each layer gets, and every refusal with its remedy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitloom.errors import PlanError
from bitloom.plan import Plan
from quantize.checkpoint import Checkpoint, open_checkpoint
from quantize.resolve import ResolvedLayer, notes, resolve


@pytest.fixture(scope="session")
def llava(llava_base: Path) -> Checkpoint:
    return open_checkpoint(str(llava_base))


@pytest.fixture(scope="session")
def blip2(blip2_base: Path) -> Checkpoint:
    return open_checkpoint(str(blip2_base))


def plan_of(*rules: dict[str, Any]) -> Plan:
    return Plan.parse({"name": "p", "base": "unused", "rules": list(rules)}, source="plan")


def bits_of(layers: tuple[ResolvedLayer, ...]) -> dict[str, int]:
    return {layer.name: layer.scheme.bits if layer.scheme else 16 for layer in layers}


def test_later_rules_override_field_by_field(llava: Checkpoint) -> None:
    layers = resolve(
        plan_of(
            {"component": "language", "bits": 4, "group_size": 64},
            {"component": "language", "blocks": "front", "layers": "mlp", "bits": 6},
        ),
        llava,
    )
    named = {layer.name: layer for layer in layers}
    front = named["language_model.model.layers.0.mlp.up_proj"].scheme
    assert front is not None
    assert (front.bits, front.group_size, front.scale_dtype) == (6, 64, "bfloat16")
    assert bits_of(layers)["language_model.model.layers.1.mlp.up_proj"] == 4
    assert bits_of(layers)["language_model.model.layers.0.self_attn.q_proj"] == 4
    assert bits_of(layers)["language_model.lm_head"] == 4
    assert named["vision_tower.vision_model.encoder.layers.0.mlp.fc1"].scheme is None


def test_every_layer_of_both_families_is_found(llava: Checkpoint, blip2: Checkpoint) -> None:
    everything = plan_of({"bits": 8, "group_size": "channel"})
    assert len(resolve(everything, llava)) == 3 * 6 + 2 + 3 * 7 + 1
    layers = resolve(everything, blip2)
    # the tied head is no layer; cross-attention stands in Q-Former blocks 0 and 2
    assert len(layers) == 3 * 4 + (3 * 6 + 2 * 4) + 1 + 3 * 6
    assert {layer.block for layer in layers if layer.layer_type == "cross_attention"} == {0, 2}


def test_layers_an_engine_holds_dense_are_declared(blip2: Checkpoint) -> None:
    layers = resolve(plan_of({"component": "connector", "bits": 4, "group_size": 32}), blip2)
    connector = [layer for layer in layers if layer.component == "connector"]
    assert all(layer.scheme is not None and layer.packed_scheme is None for layer in connector)
    assert all("plain nn.Linear" in (layer.stored_dense or "") for layer in connector)
    (note,) = notes(layers)
    assert note.startswith(f"{len(connector)} layers (qformer.encoder.layer.0.")


def test_an_equal_container_is_no_container(llava: Checkpoint) -> None:
    layers = resolve(plan_of({"bits": 4, "container_bits": 4}), llava)
    assert {layer.scheme.container_bits for layer in layers if layer.scheme} == {None}


REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a component without blocks": (
        [{"component": "connector", "blocks": "front", "bits": 4}],
        r"rule 1 \(component connector, blocks front.*connector: no blocks, mlp",
    ),
    "a layer type that is not there": (
        [{"component": "vision", "bits": 4}, {"layers": "cross_attention", "bits": 8}],
        r"rule 2 .*matches no layer.*vision: 3 blocks, attention mlp",
    ),
    "a block that is not there": (
        [{"component": "language", "blocks": "1-3", "bits": 4}],
        r"block 3 does not exist; .*blocks 0-2",
    ),
    "bits that no rule sets": ([{"component": "vision", "group_size": 32}], "stay at 16 bits"),
    "a container too narrow": ([{"bits": 6, "container_bits": 4}], "do not fit a 4-bit container"),
    "W8A8 without 8 bits": (
        [{"bits": 4, "activations": 8, "group_size": "channel"}],
        r"vision_tower.*needs bits: 8, symmetric: true, group_size: channel",
    ),
    "W8A8 by groups": ([{"bits": 8, "activations": 8}], "this layer would be 8-bit rtn, group size 128"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(llava: Checkpoint, case: str) -> None:
    rules, message = REFUSED[case]
    with pytest.raises(PlanError, match=message):
        resolve(plan_of(*rules), llava)


def test_a_group_that_does_not_divide_names_those_that_do(llava: Checkpoint) -> None:
    tensors = dict(llava.tensors)
    name = "vision_tower.vision_model.encoder.layers.1.mlp.fc2.weight"
    tensors[name] = dataclasses.replace(tensors[name], shape=(128, 96))
    odd = dataclasses.replace(llava, tensors=tensors)
    with pytest.raises(PlanError, match=r"layers\.1\.mlp\.fc2: group size 64 .* 96 inputs; use 32, channel"):
        resolve(plan_of({"bits": 4, "group_size": 64}), odd)


def test_a_tied_head_says_so(blip2: Checkpoint) -> None:
    with pytest.raises(PlanError, match="tied to the embeddings"):
        resolve(plan_of({"component": "language", "layers": "head", "bits": 8}), blip2)


def test_w8a8_is_refused_where_the_engine_holds_the_layer_dense(blip2: Checkpoint) -> None:
    rule = {"component": "connector", "bits": 8, "group_size": "channel", "activations": 8}
    with pytest.raises(PlanError, match=r"qformer.*set activations: 16"):
        resolve(plan_of(rule), blip2)


def test_fused_siblings_share_a_scheme(llava: Checkpoint) -> None:
    vision, language = llava.family.stacks
    torn = dataclasses.replace(language, linears={**language.linears, "self_attn.v_proj": "mlp"})
    family = dataclasses.replace(llava.family, stacks=(vision, torn))
    with pytest.raises(PlanError, match=r"q_proj would be 4-bit.*v_proj 16-bit.*same scheme"):
        resolve(
            plan_of({"component": "language", "layers": "attention", "bits": 4}),
            dataclasses.replace(llava, family=family),
        )


def test_zero_points_of_fused_siblings_end_on_a_word(llava: Checkpoint) -> None:
    tensors = dict(llava.tensors)
    name = "language_model.model.layers.0.self_attn.k_proj.weight"
    tensors[name] = dataclasses.replace(tensors[name], shape=(60, 128))
    odd = dataclasses.replace(llava, tensors=tensors)
    with pytest.raises(PlanError, match=r"k_proj: its 60 zero points of 3 bits.*symmetric: true"):
        resolve(plan_of({"bits": 3, "symmetric": False}), odd)


COMPONENTS = st.sampled_from(["all", "vision", "connector", "language"])
RULES = st.lists(
    st.fixed_dictionaries(
        {"component": COMPONENTS, "bits": st.sampled_from([2, 3, 4, 5, 6, 7, 8, 16])},
        optional={"group_size": st.sampled_from([32, 64, 128, "channel"])},
    ),
    min_size=1,
    max_size=5,
)


@given(RULES)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=30)
def test_the_last_rule_that_matches_decides_the_bits(llava: Checkpoint, rules: list[dict[str, Any]]) -> None:
    for layer in resolve(plan_of(*rules), llava):
        matching = [rule["bits"] for rule in rules if rule["component"] in ("all", layer.component)]
        expected = matching[-1] if matching else 16
        assert (layer.scheme.bits if layer.scheme else 16) == expected
