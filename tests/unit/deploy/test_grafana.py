"""The dashboards: as generated from the metric module, in valid PromQL, with intervals that are right."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.__main__ import FOLDER, dashboards, text
from deploy.grafana.comparison import difference
from deploy.grafana.selector import select
from server.metrics import Metrics

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian: apt-get install prometheus)"
)


def expressions() -> list[str]:
    found = []
    for dashboard in dashboards():
        for panel in dashboard.panels:
            found += [query.expression for query in panel.queries]
    return found


def test_the_files_are_what_the_code_makes() -> None:
    made = {f"{dashboard.uid}.json": text(dashboard) for dashboard in dashboards()}
    kept = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert kept == made, "run: python -m deploy.grafana"


def test_panels_do_not_overlap_and_are_explained() -> None:
    for dashboard in dashboards():
        cells: set[tuple[int, int]] = set()
        for panel in dashboard.document()["panels"]:
            at = panel["gridPos"]
            mine = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not mine & cells
            assert max(x for x, _ in mine) < 24
            cells |= mine
            assert panel["description"].endswith(".")


def test_the_guide_answers_a_question_with_every_graph_there_is() -> None:
    guide = (FOLDER.parents[2] / "docs" / "guides" / "watch.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+\? \| ([^|]+) \| ([^|]+) \|$", guide, re.MULTILINE)
    named = {(dashboard, graph) for dashboard, graphs in rows for graph in graphs.split("; ")}
    made = {
        (each.title.removeprefix("Bitloom: "), panel.title) for each in dashboards() for panel in each.panels
    }
    assert named == made


def test_a_label_that_is_not_there_stops_the_generation() -> None:
    metrics = Metrics()
    assert select(metrics.requests, 'code=~"5.."') == 'bitloom_requests_total{code=~"5.."}'
    with pytest.raises(ValueError, match="has no label user"):
        select(metrics.requests, 'user="u"')
    with pytest.raises(ValueError, match="a counter without bucket"):
        select(metrics.requests, part="bucket")


@needs_promtool
def test_every_expression_is_promql(tmp_path: Path) -> None:
    plain = [
        re.sub(r"\[\$__\w+\]", "[5m]", each).replace("$experiment", "e").replace("$control", "c")
        for each in expressions()
    ]
    assert len(plain) > 50
    rules = [{"record": f"r{index}", "expr": each} for index, each in enumerate(plain)]
    assert run(tmp_path, "check", {"groups": [{"name": "g", "rules": rules}]}) == ""
    rules.append({"record": "bad", "expr": "sum by (a (b)"})
    assert "could not parse" in run(tmp_path, "check", {"groups": [{"name": "g", "rules": rules}]})


@needs_promtool
def test_the_difference_to_control_and_its_interval(tmp_path: Path) -> None:
    apart, low, high = (query.expression for query in difference("s", "n", 'w{variant="c"}'))
    spread = 1.96 * math.sqrt(0.2 * 0.8 / 100 + 0.1 * 0.9 / 400)
    samples = {apart: 0.1, low: 0.1 - spread, high: 0.1 + spread}
    # Rounded in PromQL: promtool compares floats exactly.
    tests = [
        {
            "expr": f"round(({each}) * 1e6) and on (variant) a",
            "eval_time": "1m",
            "exp_samples": [{"labels": '{variant="b"}', "value": round(value * 1e6)}],
        }
        for each, value in samples.items()
    ]
    series = {"s": (40, 20), "n": (400, 100), "w": (0.8, 0.2)}
    inputs = [
        {"series": f'{name}{{variant="{arm}"}}', "values": f"{value}x5"}
        for name, values in series.items()
        for arm, value in zip("cb", values, strict=True)
    ]
    inputs.append({"series": 'a{variant="b"}', "values": "1x5"})
    document = {"tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": tests}]}
    assert run(tmp_path, "test", document) == ""


def run(folder: Path, verb: str, document: dict[str, Any]) -> str:
    """What promtool complains of, empty where it does not."""
    assert PROMTOOL is not None
    file = folder / "document.yml"
    file.write_text(yaml.safe_dump(json.loads(json.dumps(document))), encoding="utf-8")
    done = subprocess.run([PROMTOOL, verb, "rules", str(file)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
