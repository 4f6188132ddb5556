"""The report of a variant: every quantized layer in JSON, and a plot."""

from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bitloom.plan import Plan
from quantize.pipeline import quantize
from quantize.report import write_report

ZOO = Path(os.environ.get("BITLOOM_ZOO", Path(__file__).parents[3] / "zoo"))


def test_the_report_names_every_quantized_layer(llava_base: Path, tmp_path: Path) -> None:
    rules = [
        {"component": "language", "bits": 3, "group_size": 64},
        {"component": "vision", "bits": 8, "group_size": 64},
    ]
    plan = Plan.parse({"name": "mixed", "base": str(llava_base), "rules": rules}, source="test")
    manifest = quantize(plan, tmp_path / "variant")
    write_report(manifest, tmp_path / "report")
    document = json.loads((tmp_path / "report" / "layers.json").read_text())
    assert document["name"] == "mixed"
    assert len(document["layers"]) == 3 * 6 + 3 * 7 + 1
    worst = max(document["layers"], key=lambda layer: layer["relative_error"])
    assert (worst["component"], worst["bits"]) == ("language", 3)
    root = ElementTree.parse(tmp_path / "report" / "layers.svg").getroot()
    assert root.tag.endswith("svg")


@pytest.mark.slow
def test_a_report_of_rounding_to_nearest_has_output_errors_too(tmp_path: Path) -> None:
    rules = [{"component": "language", "bits": 3, "group_size": 64}]
    document = {
        "name": "rtn",
        "base": str(ZOO / "tiny-llava"),
        "rules": rules,
        "calibration": {"samples": 16},
    }
    plan = Plan.parse(document, source="test")
    manifest = quantize(plan, tmp_path / "variant", store=tmp_path / "store", is_measured=True)
    write_report(manifest, tmp_path / "report")
    document = json.loads((tmp_path / "report" / "layers.json").read_text())
    errors = {layer["name"]: layer["relative_output_error"] for layer in document["layers"]}
    assert all(0.01 < error < 1 for error in errors.values()), errors
    plain = quantize(plan, tmp_path / "plain")
    assert all(layer.relative_output_error is None for layer in plain.layers)
    for one, other in zip(plain.layers, manifest.layers, strict=True):
        if one.relative_error is not None:
            assert one.relative_error == pytest.approx(other.relative_error, rel=1e-4), one.name
