"""Parts of a checkpoint as a space: sizes add up to plans' sizes, methods are chosen by loss."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bitloom.errors import InputError, PlanError
from bitloom.plan import Plan, Rule
from bitloom.study.evaluator import PlanResult, ScoreEstimate
from bitloom.study.search.goal import AboveFloor, UnderBudget
from bitloom.study.search.measured import base_index, finalists, search_goal, share_of
from bitloom.study.search.oracle import Measurement
from bitloom.study.search.parts import Choice, PlanSpace, open_space
from bitloom.variant import Footprint

WEIGHTS = {"vision": 900, "connector": 100, "language": 3000}


def share(rule: Rule) -> float:
    """Weights that a rule is about; a head there is none."""
    whole = WEIGHTS[rule.component]
    thirds = 1 if rule.blocks == "all" else 3
    return whole / thirds / (2 if rule.component == "language" else 1)


def sizes(plans: Sequence[Plan]) -> list[Footprint]:
    found = []
    for plan in plans:
        if any(rule.layers == "head" for rule in plan.rules):
            raise PlanError("it is tied")
        saved = sum(share(rule) * (16 - (rule.bits or 16)) for rule in plan.rules if rule.component != "all")
        bits = 16 * sum(WEIGHTS.values()) - saved
        found.append(
            Footprint(
                parameters=4000,
                quantized_parameters=0,
                stored_bytes=round(bits / 8),
                bpw=bits / 4000,
                bpw_paper=bits / 4000,
                resident_bytes={},
            )
        )
    return found


def losses(plans: Sequence[Plan]) -> list[float]:
    """Rounding to nearest loses twice as much, except at 8 bits; without zero points half as much again."""
    found = []
    for plan in plans:
        rule = plan.rules[0]
        is_worse = (rule.method == "rtn") != (rule.bits == 8)
        factor = (2 if is_worse else 1) * (1 if rule.symmetric is False else 1.5)
        found.append(share(rule) * 4.0 ** -(rule.bits or 16) * factor)
    return found


class AdditiveEvaluator:
    """Keeps of the base what the rules do not lose."""

    def __init__(self) -> None:
        self.asked: list[Plan] = []

    def evaluate(self, plan: Plan) -> PlanResult:
        self.asked.append(plan)
        lost = sum(
            share(rule) / 4000 * 4.0 ** -(rule.bits or 16) for rule in plan.rules if rule.component != "all"
        )
        scores = {
            "CIDEr_kept": ScoreEstimate(1 - 10 * lost, 0.002),
            "kept": ScoreEstimate(1 - 10 * lost, 0.001),
        }
        return PlanResult(scores, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def space() -> PlanSpace:
    return open_space("base", sizes, losses, unit="bpw")


def test_parts_that_match_nothing_are_left_out(space: PlanSpace) -> None:
    names = [part.name for part in space.parts]
    assert len(names) == 10
    assert "language_head" not in names
    assert "language_front_mlp" in names


def test_parts_that_save_nothing_are_left_as_they_are() -> None:
    def dense_connector(plans: Sequence[Plan]) -> list[Footprint]:
        return [
            found.model_copy(update={"stored_bytes": 8000})
            if plan.rules[0].component == "connector"
            else found
            for plan, found in zip(plans, sizes(plans), strict=True)
        ]

    found = open_space("base", dense_connector, losses, unit="bpw")
    assert "connector" not in [part.name for part in found.parts]
    assert len(found.parts) == 9


def test_the_method_with_less_loss_stands_for_a_width(space: PlanSpace) -> None:
    assert space.choices["connector", 3] == Choice("gptq", symmetric=False)
    assert space.choices["connector", 5] == Choice("gptq")
    assert space.choices["connector", 8] == Choice("rtn")
    plan = space.plan({part.name: 3.0 for part in space.parts}, "three")
    assert {(rule.bits, rule.method, rule.symmetric) for rule in plan.rules} == {(3, "gptq", False)}


def test_sizes_of_parts_add_up_to_the_plans(space: PlanSpace) -> None:
    values = {
        part.name: float(bits)
        for part, bits in zip(space.parts, (2, 3, 4, 5, 6, 8, 16, 2, 3, 4), strict=True)
    }
    levels = [int(list(space.space.values[0]).index(value)) for value in values.values()]
    added = sum(float(size[level]) for size, level in zip(space.space.sizes, levels, strict=True))
    assert added == pytest.approx(sizes([space.plan(values, "mixed")])[0].bpw)


def test_a_budget_is_kept_and_beats_uniform_bits(space: PlanSpace) -> None:
    evaluator = AdditiveEvaluator()
    goal = UnderBudget(4.0)
    report, outcome, pool = search_goal(space, evaluator, goal, "kept", lookups=11, unit="bpw")
    uniform = evaluator.evaluate(space.plan({part.name: 4.0 for part in space.parts}, "u"))
    assert report.best.size <= 4.0
    assert report.best.score >= uniform.scores["kept"].value - 1e-9
    found = finalists(space, outcome, pool, goal, margin=0.0, count=2)
    assert found[0].score == pytest.approx(report.best.score)
    assert len(found) == 2
    within = finalists(space, outcome, pool, goal, margin=0.9, count=1)
    assert within[0].size < found[0].size


def test_a_lucky_measurement_is_not_recommended(space: PlanSpace) -> None:
    goal = UnderBudget(4.0)
    _, outcome, pool = search_goal(space, AdditiveEvaluator(), goal, "kept", lookups=11, unit="bpw")
    before = finalists(space, outcome, pool, goal, margin=0.0, count=1)
    lucky = [
        replace(each, measurement=Measurement(9.0, 5.0))
        for each in outcome.lookups
        if each is not outcome.best
    ]
    after = finalists(
        space, replace(outcome, lookups=(*lucky, outcome.best)), pool, goal, margin=0.0, count=1
    )
    assert after == before


def test_a_floor_is_about_one_share(space: PlanSpace) -> None:
    goal, evaluator = AboveFloor(0.9), AdditiveEvaluator()
    report, outcome, pool = search_goal(space, evaluator, goal, "CIDEr_kept", lookups=13, unit="bpw")
    assert report.goal == "CIDEr_kept >= 0.9"
    assert report.best.score >= 0.9
    assert report.best.size < 8
    found = finalists(space, outcome, pool, goal, margin=0.0, count=3)
    assert found[0].size <= found[1].size <= found[2].size < 16
    assert all(each.score >= 0.9 for each in found)


def test_the_base_is_known_to_keep_all_and_is_not_asked(space: PlanSpace) -> None:
    evaluator = AdditiveEvaluator()
    goal = AboveFloor(1.0)
    report, outcome, pool = search_goal(space, evaluator, goal, "kept", lookups=4, unit="bpw")
    assert len(evaluator.asked) == 3
    assert (report.lookups[0].score, report.lookups[0].size) == (1.0, 16.0)
    assert outcome.best.index == base_index(pool)
    assert outcome.belief.mean[base_index(pool)] == pytest.approx(1.0, abs=1e-3)
    assert finalists(space, outcome, pool, goal, margin=0.0, count=1)[0].size == 16.0


def test_a_floor_names_a_score_or_their_mean() -> None:
    shares = ("CIDEr_kept", "vqa_accuracy_kept", "kept")
    assert share_of("cider", shares) == "CIDEr_kept"
    assert share_of("score", shares) == "kept"
    with pytest.raises(InputError, match="none of the scores CIDEr, vqa_accuracy, score"):
        share_of("BLEU", shares)
