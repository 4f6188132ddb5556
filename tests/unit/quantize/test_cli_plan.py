"""`bitloom plan`: what plans come to, what two differ in, which are wrong; headers alone decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from bitloom.cli.main import cli
from bitloom.errors import PlanError
from bitloom.plan import Plan
from quantize.pipeline import quantize

RULES = [
    {"component": "vision", "bits": 8, "group_size": "channel", "activations": 8},
    {"component": "language", "bits": 4, "group_size": 64},
    {"component": "language", "blocks": "0-1", "layers": "mlp", "bits": 3, "method": "gptq"},
]


def bitloom(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["plan", *map(str, arguments)])


def write_plan(path: Path, base: Path, rules: list[dict[str, Any]]) -> Path:
    path.write_text(yaml.safe_dump({"name": path.stem, "base": str(base), "rules": rules}))
    return path


@pytest.fixture
def plan_file(llava_base: Path, tmp_path: Path) -> Path:
    return write_plan(tmp_path / "mixed.yaml", llava_base, RULES)


def test_show_counts_what_the_variant_will_hold(plan_file: Path, llava_base: Path, tmp_path: Path) -> None:
    document = json.loads(bitloom("show", plan_file, "--json").stdout)
    rtn = [{**RULES[2], "method": "rtn"}]
    path = write_plan(tmp_path / "rtn.yaml", llava_base, [*RULES[:2], *rtn])
    manifest = quantize(Plan.read(path), tmp_path / "variant")
    assert document["total"] == manifest.total.model_dump(mode="json")
    assert document["layers"]["language_model.model.layers.1.mlp.up_proj"] == "3 gptq g64"
    assert document["layers"]["language_model.model.layers.2.mlp.up_proj"] == "4 rtn g64"
    vision = "vision_tower.vision_model.encoder.layers.0.mlp.fc1"
    assert document["layers"][vision] == "8 rtn channel W8A8"


def test_show_names_engines_and_memory(plan_file: Path) -> None:
    shown = bitloom("show", plan_file)
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.output.split())
    assert "vLLM on CUDA: yes, with compute capability 7.5 or newer (3-bit kernels)" in text
    assert "vLLM on CPU: yes, with Bitloom's plugin (3-bit layers)" in text
    assert "transformers: yes, with compressed-tensors >= 0.18" in text
    assert "peak memory: about" in text
    assert "0-1" in text
    lines = bitloom("show", plan_file, "--layers").output.splitlines()
    assert "multi_modal_projector.linear_1  16" in lines


def test_calibration_takes_more_memory_than_rounding(llava_base: Path, tmp_path: Path) -> None:
    peaks = {}
    for method in ("rtn", "gptq"):
        path = write_plan(
            tmp_path / f"{method}.yaml", llava_base, [{"bits": 4, "method": method, "group_size": 64}]
        )
        peaks[method] = json.loads(bitloom("show", path, "--json").stdout)["peak_bytes"]
    assert peaks["gptq"] > 2 * peaks["rtn"] > 0


def test_diff_names_blocks_schemes_and_bytes(plan_file: Path, llava_base: Path, tmp_path: Path) -> None:
    other = write_plan(
        tmp_path / "other.yaml", llava_base, [*RULES, {"component": "connector", "bits": 8, "group_size": 64}]
    )
    document = json.loads(bitloom("diff", plan_file, other, "--json").stdout)
    (difference,) = document["differences"]
    assert difference == {
        "component": "connector", "layer_type": "mlp", "blocks": "-", "layers": 2,
        "before": "16", "after": "8 rtn g64",
    }  # fmt: skip
    assert document["stored_bytes"][1] < document["stored_bytes"][0]
    assert "every layer has the same scheme in both" in bitloom("diff", plan_file, plan_file).output
    assert "8 rtn g64" in bitloom("diff", plan_file, other).output


def test_plans_of_different_models_cannot_be_compared(
    plan_file: Path, blip2_base: Path, tmp_path: Path
) -> None:
    other = write_plan(
        tmp_path / "blip.yaml", blip2_base, [{"component": "language", "bits": 4, "group_size": 64}]
    )
    done = bitloom("diff", plan_file, other)
    assert isinstance(done.exception, PlanError)
    assert "have different bases" in str(done.exception)


def test_validate_names_every_wrong_plan(plan_file: Path, llava_base: Path, tmp_path: Path) -> None:
    assert bitloom("validate", plan_file).exit_code == 0
    wrong = write_plan(tmp_path / "wrong.yaml", llava_base, [{"layers": "cross_attention", "bits": 4}])
    worse = write_plan(tmp_path / "worse.yaml", llava_base, [{"bits": 9}])
    done = bitloom("validate", wrong, plan_file, worse)
    assert isinstance(done.exception, PlanError)
    assert done.exception.exit_code == 2
    assert str(done.exception).startswith("2 of 3 plans are not valid")
    assert "matches no layer" in done.output
    assert "mixed.yaml: valid; " in done.output
    assert "bits must be 2..8 or 16, not 9" in done.output
