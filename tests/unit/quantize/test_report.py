"""The report of a variant: every quantized layer in JSON, and a plot."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from bitloom.plan import Plan
from quantize.pipeline import quantize
from quantize.report import write_report


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
