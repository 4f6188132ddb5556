"""Two runs of the same samples: what is said of them, and which may not be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from bitloom.errors import InputError
from bitloom.results import SampleRecord
from eval_client.cli_compare import command
from eval_client.compare.comparison import compare_runs
from eval_client.compare.margins import Margins
from eval_client.compare.model import Comparison, MetricComparison
from tests.unit.eval_client.compare.conftest import caption, question, timed

if TYPE_CHECKING:
    from tests.unit.eval_client.compare.conftest import WriteRun

SAID = ("a large red circle above a small blue square .", "two green triangles .", "a star in a square")


def records(images: int, *, wrong: int = 0, per_image: int = 1) -> list[SampleRecord]:
    """Questions of which a tenth, and `wrong` tenths more, are answered wrongly; captions of three kinds."""
    questions = [
        question(
            number, "no" if number % 10 == 0 or number % 10 > 9 - wrong else "yes", image=number // per_image
        )
        for number in range(images * per_image)
    ]
    return questions + [caption(number, SAID[number % 3]) for number in range(images)]


def metric(comparison: Comparison, name: str) -> MetricComparison:
    return next(each for each in comparison.metrics if each.name == name)


def test_runs_of_the_same_answers_are_equivalent(write_run: WriteRun) -> None:
    a, b = write_run("a", records(200)), write_run("b", records(200))
    comparison = compare_runs(a, b, Margins())
    assert [each.name for each in comparison.metrics if each.is_primary] == ["vqa_accuracy", "CIDEr"]
    assert len(comparison.metrics) == 7
    for each in comparison.metrics:
        assert each.outcome == "equivalent", each
        assert each.verdict.startswith("equivalent within ")
        assert each.difference == 0
        assert each.p_value == 1
    assert "400 of 400 answers are the same text" in comparison.notes


def test_few_images_cannot_show_that_much(write_run: WriteRun) -> None:
    a, b = write_run("a", records(30)), write_run("b", records(30))
    few = metric(compare_runs(a, b, Margins()), "vqa_accuracy")
    assert few.outcome == "undecided"
    assert few.verdict.startswith("undecided: this sample could have shown a difference of 0.2")
    assert few.shown_margin == pytest.approx(0.1, abs=0.02)
    wide = metric(compare_runs(a, b, Margins(everywhere=0.15)), "vqa_accuracy")
    assert wide.verdict == "equivalent within 0.150"


def test_a_loss_is_named_with_its_interval(write_run: WriteRun) -> None:
    a, b = write_run("a", records(200)), write_run("b", records(200, wrong=1))
    found = metric(compare_runs(a, b, Margins()), "vqa_accuracy")
    assert found.test == "exact McNemar"
    assert (found.a, found.b) == pytest.approx((0.9, 0.8))
    assert found.p_value == pytest.approx(2 * 0.5**20)
    assert found.p_holm == pytest.approx(4 * 0.5**20)
    assert found.low < found.difference < found.high < 0
    assert found.verdict.startswith("B is worse by 0.100 (95 % interval 0.0")
    mirrored = metric(compare_runs(b, a, Margins()), "vqa_accuracy")
    assert mirrored.outcome == "better"
    assert mirrored.difference == pytest.approx(-found.difference)


def test_a_difference_below_the_margin_is_equivalent_and_said(write_run: WriteRun) -> None:
    a, b = write_run("a", records(300)), write_run("b", records(300, wrong=1))
    found = metric(compare_runs(a, b, Margins(by_name={"vqa_accuracy": 0.25})), "vqa_accuracy")
    assert found.outcome == "equivalent"
    assert "B is worse by 0.100" in found.verdict
    assert found.verdict.endswith("less than the margin")


def test_questions_of_one_image_are_one_cluster(write_run: WriteRun) -> None:
    a, b = write_run("a", records(40, per_image=5)), write_run("b", records(40, wrong=1, per_image=5))
    found = metric(compare_runs(a, b, Margins()), "vqa_accuracy")
    assert (found.samples, found.images) == (200, 40)
    assert found.test == "exact McNemar, images as clusters"


def test_bleu_is_compared_as_a_function_of_sums(write_run: WriteRun) -> None:
    changed = [
        record.model_copy(update={"answer": "a circle ."}) if number % 4 == 0 else record
        for number, record in enumerate(records(150))
    ]
    a, b = write_run("a", records(150)), write_run("b", changed)
    comparison = compare_runs(a, b, Margins())
    found = metric(comparison, "Bleu_4")
    runs = [json.loads((run / "run.json").read_text()) for run in (a, b)]
    scores = [next(each for each in run["scores"] if each["name"] == "Bleu_4") for run in runs]
    assert (found.a, found.b) == pytest.approx((scores[0]["value"], scores[1]["value"]), abs=1e-12)
    assert found.test == "bootstrap of sums by image"
    assert found.outcome == "worse"
    assert found.low < found.difference < found.high < 0
    assert found.p_holm is None
    cider = metric(comparison, "CIDEr")
    assert cider.test == "permutation by image"
    assert cider.a > 1
    assert cider.margin == pytest.approx(0.02 * max(cider.a, cider.b))


def test_failed_samples_are_left_out_on_both_sides(write_run: WriteRun) -> None:
    failing = [question(0, None), *records(60)[1:]]
    a, b = write_run("a", records(60)), write_run("b", failing)
    comparison = compare_runs(a, b, Margins())
    found = metric(comparison, "vqa_accuracy")
    assert found.samples == 59
    assert found.difference == 0
    assert any("1 of 120 requests failed in B" in note for note in comparison.notes)


def test_latencies_are_compared_pair_by_pair(write_run: WriteRun) -> None:
    rng = np.random.default_rng(0)
    size = rng.uniform(0.02, 0.2, 40)
    fast = [timed(number, 0.01 + each, 0.1 + each) for number, each in enumerate(size)]
    slow = [timed(number, 0.013 + each, 0.1 + each) for number, each in enumerate(size)]
    runs = {"run": {"interleaved": "x"}}
    a = write_run("a", records(20), fast, **runs)
    b = write_run("b", records(20), slow[::-1], **runs)
    comparison = compare_runs(a, b, Margins())
    assert comparison.is_interleaved
    assert not any("drift" in note for note in comparison.notes)
    ttft, tpot, request = comparison.latency
    assert (ttft.figure, ttft.load, ttft.pairs) == ("TTFT", "sequential", 40)
    assert (ttft.low_s, ttft.difference_s, ttft.high_s) == pytest.approx((0.003,) * 3)
    assert ttft.verdict.startswith("B is slower by 3.00 ms")
    assert tpot.outcome == "faster"
    assert request.outcome == "undecided"


def test_one_after_the_other_is_said(write_run: WriteRun) -> None:
    latency = [timed(number, 0.01, 0.1) for number in range(9)]
    a, b = write_run("a", records(20), latency), write_run("b", records(20), latency)
    assert any("drift" in note for note in compare_runs(a, b, Margins()).notes)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"dataset_hash": "1" * 64}, "samples differ"),
        (
            {"prompts": {"name": "zoo", "caption": "tell me."}},
            "prompts differ .caption: 'describe the image.' in A",
        ),
        ({"modes": {"vqa": "lavis"}}, "scorers differ .vqa: 'official' in A, 'lavis' in B"),
        ({"dataset": "coco:x"}, "data sets differ"),
    ],
)
def test_other_plans_are_refused_with_the_reason(
    write_run: WriteRun, plan: dict[str, object], message: str
) -> None:
    a, b = write_run("a", records(20)), write_run("b", records(20), plan=plan)
    with pytest.raises(InputError, match=message):
        compare_runs(a, b, Margins())


def test_other_samples_are_refused_and_named(write_run: WriteRun) -> None:
    a, b = write_run("a", records(20)), write_run("b", records(20)[1:])
    with pytest.raises(InputError, match=r"samples differ, 1 are in one of them only \(first 'vqa/0'"):
        compare_runs(a, b, Margins())
    moved = [each.model_copy(update={"prompt": "else?"}) for each in records(20)]
    with pytest.raises(InputError, match=r"prompt of sample 'vqa/0' differs .*'else\?' in B"):
        compare_runs(a, write_run("c", moved), Margins())
    with pytest.raises(InputError, match="given twice"):
        compare_runs(a, a, Margins())


def test_pairs_of_a_shortlist_may_differ(write_run: WriteRun) -> None:
    def pairs(caption: str) -> list[SampleRecord]:
        pair = {"sample_id": f"retrieval/i0/{caption}", "task": "retrieval", "caption_id": caption}
        return [*records(20), question(0, "yes").model_copy(update=pair)]

    plan = {"tasks": ("vqa",), "modes": {"retrieval_shortlist": "8"}}
    a, b = (write_run(name, pairs(name), plan=plan) for name in ("a", "b"))
    assert metric(compare_runs(a, b, Margins()), "vqa_accuracy").samples == 20
    c = write_run("c", pairs("c"), plan={"tasks": ("vqa",)})
    with pytest.raises(InputError, match="samples differ"):
        compare_runs(c, write_run("d", pairs("d"), plan={"tasks": ("vqa",)}), Margins())


def test_the_command_prints_and_writes_what_it_found(write_run: WriteRun, tmp_path: Path) -> None:
    latency = [timed(number, 1.0 + number, 999.0) for number in range(9)]
    a, b = (str(write_run(name, records(60, wrong=wrong), latency)) for name, wrong in (("a", 0), ("b", 2)))
    out = tmp_path / "new" / "comparison.json"
    shown = CliRunner().invoke(command, [a, b, "--out", str(out), "--margin", "vqa_accuracy=0.01"])
    assert shown.exit_code == 0, shown.output
    assert "vqa, vqa_accuracy: B is worse by 0.200" in shown.output
    assert "…" not in shown.output
    assert max(len(line) for line in shown.output.splitlines()) <= 80
    assert "sequential" in shown.output
    printed = CliRunner().invoke(command, [a, b, "--json", "--margin", "vqa_accuracy=0.01"])
    assert Comparison.model_validate_json(printed.output) == Comparison.read(out)
    markdown = out.with_suffix(".md").read_text()
    assert "- vqa, vqa_accuracy: B is worse by 0.200" in markdown
    assert "| vqa_accuracy * | 0.900 | 0.700 | -0.200 (" in markdown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--margin", "speed=0.1"), "--margin speed: no such metric in both runs; they have vqa_accuracy"),
        (("--margin", "much"), "'much' is not understood"),
        (("--out", "here.txt"), r"ends in \.json or \.md"),
    ],
)
def test_wrong_flags_are_named(write_run: WriteRun, arguments: tuple[str, str], message: str) -> None:
    a, b = str(write_run("a", records(9))), str(write_run("b", records(9)))
    result = CliRunner().invoke(command, [a, b, *arguments])
    assert isinstance(result.exception, InputError)
    with pytest.raises(InputError, match=message):
        raise result.exception
