"""Flags say what a ranking hides."""

from bitloom.study.importance.flags import flags_of, refusal_of
from bitloom.study.importance.report import Part

WHOLE = {"vision": 0.5, "language": 0.5}


def part(r2: float, linear: float, consensus: dict[str, float] | None, refusal: str | None = None) -> Part:
    return Part(rows=30, r2=r2, linear_r2=linear, consensus=consensus, refusal=refusal)


def test_no_skill_is_refused_with_its_r2() -> None:
    assert refusal_of("bits >= 4", -0.1) == "no skill at bits >= 4: R2 = -0.10"
    assert refusal_of("bits >= 4", 0.5) is None


def test_a_clear_case_has_no_flags() -> None:
    assert flags_of(0.9, WHOLE, {"bits >= 3": part(0.9, 0.9, {"vision": 0.4, "language": 0.6})}) == []


def test_a_turned_ranking_is_flagged() -> None:
    flags = flags_of(0.9, WHOLE, {"bits >= 3": part(0.9, 0.9, {"vision": 0.02, "language": 0.98})})
    assert flags == [
        "the ranking turns at bits >= 3: vision 2 %, language 98 % (vision has 50 % in all rows)"
    ]


def test_refusals_and_linear_models_without_skill_are_flagged() -> None:
    refusal = "no skill at bits >= 4: R2 = -0.10"
    flags = flags_of(0.05, WHOLE, {"bits >= 4": part(-0.1, -0.2, None, refusal)})
    assert flags == ["a linear model has no skill at the whole grid: R2 = 0.05", refusal]
    assert "linear" in flags_of(0.9, WHOLE, {"bits >= 4": part(0.9, -0.2, WHOLE)})[0]
