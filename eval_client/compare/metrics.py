"""Differences of scores: interval, test, Holm over the tasks' primary metrics, equivalence, power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval_client.compare.bleu import BleuPairs
from eval_client.compare.margins import Margins
from eval_client.compare.model import MetricComparison
from eval_client.compare.pairing import PairedRuns
from eval_client.compare.values import BLEU, PairedValues, paired_values
from eval_client.compare.verdict import Finding, outcome_of, verdict_of
from eval_client.stats.multiple import holm
from eval_client.stats.paired import PairedDraws, draw_pairs, mean_terms
from eval_client.stats.sign_flip import exact_whole, permutation


@dataclass(frozen=True, slots=True)
class _Tested:
    """A metric before the correction for several tasks."""

    values: PairedValues
    a: float
    b: float
    draws: PairedDraws
    test: str
    p_value: float


def compare_metrics(
    runs: PairedRuns, margins: Margins, *, seed: int
) -> tuple[list[MetricComparison], list[str]]:
    """Every metric that both runs have, in the order of the tasks, and notes.

    Raises InputError for a margin of a metric that is not among them.
    """
    paired, notes = paired_values(runs)
    margins.check(values.name for values in paired)
    bleu: BleuPairs | None = None
    tested = []
    for values in paired:
        if not values.name.startswith(BLEU):
            tested.append(_test_mean(values, seed))
            continue
        bleu = bleu or BleuPairs(values.sample_ids, values.images, runs.a.answers, runs.b.answers)
        tested.append(_test_bleu(values, bleu, seed))
    return _concluded(tested, margins), notes


def _test_mean(values: PairedValues, seed: int) -> _Tested:
    a, b, samples = values.by_image()
    draws = draw_pairs(mean_terms(a, b, samples, values.scale), seed=seed)
    is_clustered = bool((samples > 1).any())
    if values.is_binary:
        test = "exact McNemar, images as clusters" if is_clustered else "exact McNemar"
        p_value = exact_whole(b - a).value
    else:
        test = "permutation by image"
        p_value = permutation(b - a, seed=seed).value
    return _Tested(values, float(values.a.mean()), float(values.b.mean()), draws, test, p_value)


def _test_bleu(values: PairedValues, bleu: BleuPairs, seed: int) -> _Tested:
    order = int(values.name.removeprefix(BLEU))
    draws = draw_pairs(bleu.terms(order), seed=seed)
    a, b = bleu.corpus(order)
    return _Tested(values, a, b, draws, "bootstrap of sums by image", draws.bootstrap_p)


def _concluded(tested: Sequence[_Tested], margins: Margins) -> list[MetricComparison]:
    primary = [each for each in tested if each.values.is_primary]
    corrected = dict(
        zip([each.values.task for each in primary], holm([each.p_value for each in primary]), strict=True)
    )
    return [
        _conclude(each, margins, corrected[each.values.task] if each.values.is_primary else None)
        for each in tested
    ]


def _conclude(tested: _Tested, margins: Margins, p_holm: float | None) -> MetricComparison:
    values, draws = tested.values, tested.draws
    margin = margins.of(values.name, values.scale)
    low, high = draws.interval
    finding = Finding(
        difference=draws.value,
        low=low,
        high=high,
        p_value=tested.p_value if p_holm is None else p_holm,
        margin=margin,
        p_equivalence=draws.equivalence_p(margin),
        shown_margin=draws.shown_margin,
        detectable=draws.detectable,
    )
    return MetricComparison(
        task=values.task,
        name=values.name,
        is_primary=values.is_primary,
        samples=len(values.a),
        images=draws.images,
        a=tested.a,
        b=tested.b,
        difference=draws.value,
        low=low,
        high=high,
        test=tested.test,
        p_value=tested.p_value,
        p_holm=p_holm,
        margin=margin,
        p_equivalence=finding.p_equivalence,
        shown_margin=finding.shown_margin,
        detectable=finding.detectable,
        outcome=outcome_of(finding),
        verdict=verdict_of(finding),
    )
