"""Plans are strict, and equal content makes equal hashes."""

from pathlib import Path

import pytest

from bitloom.errors import PlanError
from bitloom.plan import Plan, Rule

DOCUMENT = {
    "schema_version": 1,
    "name": "v8-l4",
    "base": "zoo/tiny-llava",
    "rules": [
        {"component": "vision", "bits": 8, "method": "rtn", "group_size": 64},
        {"component": "language", "blocks": "front", "layers": "mlp", "bits": 4, "group_size": "channel"},
    ],
}


def parse(**changes: object) -> Plan:
    return Plan.parse({**DOCUMENT, **changes}, source="test")


def test_a_plan_reads_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("{schema_version: 1, name: a, base: b, rules: [{bits: 4}]}")
    plan = Plan.read(path)
    assert plan.rules == (Rule(bits=4),)
    assert plan.calibration.samples == 128


def test_the_hash_ignores_the_name_and_nothing_else() -> None:
    plan = parse()
    assert plan.hash == parse(name="other").hash
    assert plan.hash != parse(base="elsewhere").hash
    assert plan.hash != parse(rules=DOCUMENT["rules"][:1]).hash  # type: ignore[index]
    assert plan.hash != parse(calibration={"samples": 64}).hash


def test_defaults_written_out_hash_like_defaults_left_out() -> None:
    assert parse(calibration={"dataset": "scenes", "samples": 128}).hash == parse().hash


def test_a_rule_knows_what_it_sets() -> None:
    assert Rule(component="vision", bits=3, symmetric=False).settings == {"bits": 3, "symmetric": False}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "colour"),
        ({"rules": []}, "rules"),
        ({"rules": [{"component": "vision"}]}, "at least one of bits"),
        ({"rules": [{"bits": 9}]}, "2..8 or 16"),
        ({"rules": [{"bits": 1}]}, "bits"),
        ({"rules": [{"bits": 4, "group_size": 48}]}, "group_size"),
        ({"rules": [{"bits": 4, "blocks": "last"}]}, "last"),
        ({"rules": [{"bits": 4, "method": "magic"}]}, "magic"),
        ({"name": "../escape"}, "name"),
        ({"schema_version": 2}, "schema_version"),
        (
            {"gptq": {"act_order": True, "static_groups": False}},
            "set static_groups: true, or act_order: false",
        ),
        ({"gptq": {"damping": 0}}, "gptq.damping"),
    ],
)
def test_faults_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse(**changes)


def test_a_missing_file_and_broken_yaml_are_plan_errors(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"nowhere\.yaml"):
        Plan.read(tmp_path / "nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("rules: [")
    with pytest.raises(PlanError, match="not valid YAML"):
        Plan.read(broken)
