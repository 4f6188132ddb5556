"""Prometheus' own checker on the scrape configuration, the rules and their tests."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "prometheus"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian: apt-get install prometheus)"
)


def promtool(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def groups(name: str) -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "rules" / name).read_text(encoding="utf-8"))
    return list(document["groups"])


@needs_promtool
def test_the_configuration_and_its_rules_load() -> None:
    done = promtool("check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rule files found" in done.stdout


@needs_promtool
def test_the_rules_do_what_their_tests_say() -> None:
    done = promtool("test", "rules", "tests/alerts.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_spoiled_alerts_fail_their_tests(tmp_path: Path) -> None:
    copy = tmp_path / "prometheus"
    shutil.copytree(FOLDER, copy)
    alerts = copy / "rules" / "alerts.yml"
    text = alerts.read_text(encoding="utf-8")
    spoils = {"> 14.4": "> 1440", ">= 3": ">= 300", "== 0": "== 7", "> 0.05": "> 0.9"}
    for old, new in spoils.items():
        assert old in text
        text = text.replace(old, new)
    alerts.write_text(text, encoding="utf-8")
    done = promtool("test", "rules", "tests/alerts.yml", folder=copy)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    for alert in ("FirstTokenBurnFast", "WorkerFlapping", "ScrapeFails", "ErrorRate"):
        assert f"alertname: Bitloom{alert}" in said


def test_every_alert_is_tested_and_names_its_section_of_the_guide() -> None:
    tested = {
        case["alertname"]
        for test in yaml.safe_load((FOLDER / "tests" / "alerts.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    rules = [rule for group in groups("alerts.yml") for rule in group["rules"]]
    assert {rule["alert"] for rule in rules} == tested
    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/guides/watch.md#{rule['alert'].lower()}"
    guide = FOLDER.parents[1] / "docs" / "guides" / "watch.md"
    assert re.findall(r"^### (\w+)$", guide.read_text(), re.MULTILINE) == [rule["alert"] for rule in rules]
