"""Plans as dense weights: what is written is what the variant holds, and only what changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bitloom.dequantize import dequantized_state
from bitloom.errors import PlanError
from bitloom.plan import Plan
from quantize.dense import DenseAssembly, open_assembly
from quantize.pipeline import quantize

ZOO = Path(os.environ.get("BITLOOM_ZOO", Path(__file__).parents[3] / "zoo"))
RTN = {"method": "rtn", "group_size": 64}


def plan_of(base: str, name: str, *rules: dict[str, object], mode: str = "independent") -> Plan:
    document = {"name": name, "base": str(ZOO / base), "rules": [*rules], "calibration": {"mode": mode}}
    return Plan.parse(document, source="test")


@pytest.mark.parametrize("base", ["tiny-llava", "tiny-blip2"])
def test_what_is_written_is_what_the_variant_holds(base: str, tmp_path: Path) -> None:
    plan = plan_of(base, "mixed", {"bits": 4, **RTN}, {"component": "vision", "bits": 3})
    open_assembly([plan]).write_changes(tmp_path / "swap", plan, None)
    quantize(plan, tmp_path / "variant")
    written = load_file(tmp_path / "swap")
    held = dict(dequantized_state(tmp_path / "variant"))
    assert len(written) > 20
    for name, tensor in written.items():
        assert torch.equal(tensor, torch.from_numpy(held[name]).to(torch.float32)), name


@pytest.fixture(scope="module")
def pair() -> tuple[DenseAssembly, Plan, Plan]:
    first = plan_of("tiny-llava", "a", {"bits": 4, **RTN})
    second = plan_of("tiny-llava", "b", {"bits": 4, **RTN}, {"component": "vision", "blocks": "0", "bits": 3})
    return open_assembly([first]), first, second


def test_only_changed_modules_are_written(pair: tuple[DenseAssembly, Plan, Plan], tmp_path: Path) -> None:
    assembly, first, second = pair
    count = assembly.write_changes(tmp_path / "swap", second, first)
    names = set(load_file(tmp_path / "swap"))
    assert len(names) == count
    assert {name.split(".self_attn")[0].split(".mlp")[0] for name in names} == {
        "vision_tower.vision_model.encoder.layers.0"
    }
    assert any(name.endswith(".bias") for name in names)
    assert assembly.write_changes(tmp_path / "none", second, second) == 0


def test_going_back_to_the_base_restores_it(pair: tuple[DenseAssembly, Plan, Plan], tmp_path: Path) -> None:
    assembly, first, _ = pair
    base = plan_of("tiny-llava", "base", {"bits": 16})
    assembly.write_changes(tmp_path / "swap", base, first)
    held = load_file(ZOO / "tiny-llava" / "model.safetensors")
    written = load_file(tmp_path / "swap")
    shared = [name for name in written if name in held]
    assert len(shared) > 20
    assert all(torch.equal(written[name], held[name].to(torch.float32)) for name in shared)


def test_plans_that_dense_weights_cannot_be_are_refused() -> None:
    w8a8 = plan_of(
        "tiny-llava", "w8a8", {"bits": 8, "method": "rtn", "group_size": "channel", "activations": 8}
    )
    fitting = plan_of("tiny-llava", "c", {"bits": 4, **RTN})
    assembly = open_assembly([w8a8, fitting])
    with pytest.raises(PlanError, match="8-bit activations"):
        assembly.footprint(w8a8)
    assert assembly.footprint(fitting).bpw < 16
    with pytest.raises(PlanError, match="no plan of 1 fits"):
        open_assembly([plan_of("tiny-llava", "s", {"bits": 4, **RTN}, mode="sequential")])
