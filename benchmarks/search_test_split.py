"""The search's plan against uniform 3 bits and a 4-bit language model, on scenes that no search saw.

    python -m benchmarks.search_test_split [DIR [SAMPLES]]

Runs `bitloom study search zoo/tiny-llava --budget 3.5bpw --out DIR` to its end (validation scenes; a DIR that
holds a finished search is used as it is), then asks the recommended plan and both others the same SAMPLES of
each task of the test scenes, by the live engine, which gives the answers of the variants. The score is the
mean of three tasks: CIDEr-D / 10, the share of right answers, and R@1 (the mean of both ways). The interval
of a difference is the paired bootstrap's, over scenes: a scene's captions, questions and near-duplicates go
together. The base itself is asked too: where it is not above a rival outside the interval, no plan can be
expected to be.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness import Figures
from bitloom.plan import Plan
from bitloom.results import SampleScore, Task
from bitloom.study.live.evaluator import LiveEvaluator
from bitloom.study.live.rooms import open_assembly
from bitloom.study.live.searching import REPORT_NAME
from bitloom.study.search.report import SearchReport
from eval_client.examination import Examination, open_examination
from eval_client.stats.bootstrap import Array, interval

BASE, BUDGET = "zoo/tiny-llava", "3.5bpw"
SAMPLES = 400
TASKS: tuple[Task, ...] = ("caption", "vqa", "retrieval")
SCALES: Mapping[str, tuple[int, float]] = {
    "CIDEr": (0, 0.1),
    "vqa_accuracy": (1, 1.0),
    "text_to_image_R@1": (2, 1.0),
    "image_to_text_R@1": (2, 1.0),
}
"""Each score's task, by place, and what it is multiplied by."""
SCHEME = {"method": "gptq", "group_size": 64}
WHOLE = "base"
RIVALS: Mapping[str, Sequence[Mapping[str, object]]] = {
    "uniform 3 bits": [{"bits": 3, **SCHEME}],
    "language model 4 bits, the rest whole": [{"component": "language", "bits": 4, **SCHEME}],
}


def main(out: Path, samples: int) -> int:
    """Search, then compare on the test scenes; the bar is the issue's."""
    report = found_in(out)
    plans = {"search": Plan.read(out / f"{report.finalists[0].name}.yaml")}
    plans |= {name: rival(name, rules) for name, rules in RIVALS.items()}
    plans[WHOLE] = rival(WHOLE, [{"bits": 16}])
    figures: dict[str, float | int | str] = {
        "look-ups": len(report.lookups),
        "plan": plans["search"].name,
        "samples of each task": samples,
    }
    scores, sizes = measured(plans, samples)
    holds = True
    for name, own in scores.items():
        figures[f"{name}: bytes"] = sizes[name]
        figures[f"{name}: mean of three"] = float(mean_of_three(terms(own, own, is_difference=False))[0])
    for name in RIVALS:
        low = compare("search", name, scores, figures)
        holds = holds and low > 0 and sizes[name] >= sizes["search"]
        compare(WHOLE, name, scores, figures)
    bar = "the search's plan is above both, outside the 95 % interval, with at most their bytes"
    return Figures("search_test_split", figures, bar, holds).close()


def compare(
    name: str, other: str, scores: Mapping[str, Sequence[SampleScore]], figures: dict[str, float | int | str]
) -> float:
    """Put the difference of two plans and its interval among the figures; return the interval's lower end."""
    pairs = terms(scores[name], scores[other])
    bounds = interval(pairs, scenes(scores[other]), statistic, seed=0)
    low, high = bounds or (float("-inf"), float("inf"))
    figures[f"{name} - {other}"] = float(mean_of_three(pairs)[0])
    figures[f"{name} - {other}, 95 % interval"] = f"{low:+.4f} .. {high:+.4f}"
    return low


def found_in(out: Path) -> SearchReport:
    """The report of the finished search in `out`, which is run where there is none."""
    if not (out / REPORT_NAME).exists() or not SearchReport.read(out / REPORT_NAME).finalists:
        command = [sys.executable, "-m", "bitloom", "study", "search", BASE, "--budget", BUDGET]
        subprocess.run([*command, "--out", str(out)], check=True)
    return SearchReport.read(out / REPORT_NAME)


def rival(name: str, rules: Sequence[Mapping[str, object]]) -> Plan:
    """A plan that nobody had to search for, with the search's calibration."""
    document = {
        "name": name.partition(",")[0].replace(" ", "-"),
        "base": BASE,
        "rules": [dict(rule) for rule in rules],
        "calibration": {"mode": "independent"},
    }
    return Plan.parse(document, source=name)


def measured(
    plans: Mapping[str, Plan], samples: int
) -> tuple[dict[str, tuple[SampleScore, ...]], dict[str, int]]:
    """Scores of each test sample, and stored bytes, by plan."""
    examination: Examination = open_examination("scenes:test", TASKS, samples, BASE)
    assembly = open_assembly(list(plans.values()))
    live = LiveEvaluator(assembly, examination)
    try:
        scores = {name: examination.judge(live.answers(plan)) for name, plan in plans.items()}
    finally:
        live.close()
    return scores, {name: assembly.footprint(plan).stored_bytes for name, plan in plans.items()}


def terms(plan: Sequence[SampleScore], other: Sequence[SampleScore], *, is_difference: bool = True) -> Array:
    """Sums and counts of the three tasks [samples, 6]: of the plan's scores, less the other's."""
    found = np.zeros((len(plan), 6))
    for row, (own, rivals) in enumerate(zip(plan, other, strict=True)):
        for name, (task, scale) in SCALES.items():
            if name in own.scores:
                value = own.scores[name] - (rivals.scores[name] if is_difference else 0.0)
                found[row, 2 * task : 2 * task + 2] = scale * value, 1.0
    return found


def statistic(sums: Array) -> Array:
    """The mean of the three tasks' means, from sums [draws, 6]."""
    return np.asarray((sums[:, 0::2] / sums[:, 1::2]).mean(axis=1))


def mean_of_three(found: Array) -> Array:
    """The statistic of all samples [1]."""
    return statistic(found.sum(axis=0, keepdims=True))


def scenes(scores: Sequence[SampleScore]) -> list[str]:
    """The scene of each sample; near-duplicates (`test:3~1`) belong to the scene that they are made from."""
    return [score.image_id.partition("~")[0] for score in scores]


def run(arguments: Sequence[str]) -> int:
    """The command line; without a DIR the search is not kept."""
    samples = int(arguments[1]) if len(arguments) > 1 else SAMPLES
    if arguments:
        return main(Path(arguments[0]), samples)
    with tempfile.TemporaryDirectory() as directory:
        return main(Path(directory), samples)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
