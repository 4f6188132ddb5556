"""Three tasks at 3 bits: is GPTQ or AWQ better than rounding to nearest by more than chance?

    python -m benchmarks.method_tasks [SCENES [CLUSTERS]]

All components of both models of the zoo at 3 bits, by each method with the plan's defaults (sequential, 128
samples). On test scenes: the share of right answers (questions), CIDEr-D / 10 (captions), and R@1 both ways
among a scene and its seven near-duplicates (retrieval). The score is the mean of the three; the interval of a
difference is the paired bootstrap's, over scenes for questions and captions, over clusters of near-duplicates
for retrieval.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from benchmarks.harness import Figures
from bitloom.dequantize import dequantized_state
from bitloom.plan import Plan
from eval_client.metrics.caption.scorer import CaptionScorer
from quantize.pipeline import quantize
from zoo.evaluate.measures import recall_at_one
from zoo.evaluate.subject import Subject
from zoo.scenes import retrieval_scenes, scene

BASES = (Path("zoo/tiny-llava"), Path("zoo/tiny-blip2"))
METHODS = ("rtn", "gptq", "awq")
BITS, GROUP_SIZE = 3, 64
SCENES, CLUSTERS, CLUSTER = 160, 48, 8
DRAWS = 4000
LEVEL = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Per scene: share of right answers, CIDEr-D / 10; per cluster: R@1, the mean of both ways."""

    answers: Floats
    captions: Floats
    retrieval: Floats

    @property
    def mean(self) -> float:
        """Mean of the three tasks."""
        return float(self.answers.mean() + self.captions.mean() + self.retrieval.mean()) / 3


def main(scenes: int, clusters: int) -> int:
    """Measure both models; the bar is the issue's."""
    figures: dict[str, float | int | str] = {"scenes": scenes, "clusters of near-duplicates": clusters}
    holds = True
    with tempfile.TemporaryDirectory() as directory:
        for base in BASES:
            scores = {m: measure(variant(base, m, Path(directory)), scenes, clusters) for m in METHODS}
            figures |= {f"{base.name} {method}: mean of three": each.mean for method, each in scores.items()}
            lows = []
            for method in METHODS[1:]:
                low, high = interval(scores["rtn"], scores[method])
                lows.append(low)
                figures[f"{base.name} {method} - rtn, 95 % interval"] = f"{low:+.4f} .. {high:+.4f}"
            holds = holds and max(lows) > 0
    bar = "on both models gptq's or awq's mean of the three tasks is above rtn's, outside the 95 % interval"
    return Figures("method_tasks", figures, bar, holds).close()


def variant(base: Path, method: str, work: Path) -> Path:
    """The base's own architecture with the weights of a 3-bit variant, dequantized."""
    document = {
        "name": f"{base.name}-{method}",
        "base": str(base),
        "rules": [{"component": "all", "bits": BITS, "method": method, "group_size": GROUP_SIZE}],
    }
    packed, dense = work / f"{base.name}-{method}", work / f"{base.name}-{method}-dense"
    quantize(Plan.parse(document, source="benchmark"), packed, store=work / "store")
    dense.mkdir()
    for path in base.iterdir():
        if path.is_file() and path.suffix != ".safetensors":
            shutil.copyfile(path, dense / path.name)
    state = {name: np.ascontiguousarray(array) for name, array in dequantized_state(packed)}
    save_file(state, dense / "model.safetensors", metadata={"format": "pt"})
    return dense


def measure(directory: Path, scenes: int, clusters: int) -> Scores:
    """Examine a model."""
    subject = Subject(directory)
    chosen = [scene("test", index) for index in range(scenes)]
    images = [each.render() for each in chosen]
    asked = [(n, question) for n, each in enumerate(chosen) for question in each.questions()]
    answers = subject.answer([images[n] for n, _ in asked], [question.text for _, question in asked])
    right: Mapping[int, list[bool]] = {n: [] for n in range(scenes)}
    for (n, question), answer in zip(asked, answers, strict=True):
        right[n].append(answer == question.answer)
    captions = subject.caption(images)
    scorer = CaptionScorer({n: each.captions() for n, each in enumerate(chosen)})
    _, cider = scorer.cider(dict(enumerate(captions)))
    return Scores(
        np.array([np.mean(each) for each in right.values()]),
        np.asarray(cider, np.float64) / 10,
        _retrieval(subject, clusters),
    )


def _retrieval(subject: Subject, clusters: int) -> Floats:
    """R@1 within each cluster."""
    chosen = retrieval_scenes("test", clusters * CLUSTER, CLUSTER)
    found = []
    for start in range(0, len(chosen), CLUSTER):
        members = chosen[start : start + CLUSTER]
        texts = [each.captions()[0] for each in members]
        recall = recall_at_one(
            torch.stack([subject.caption_scores(each.render(), texts) for each in members])
        )
        found.append((recall.text_to_image + recall.image_to_text) / 2)
    return np.array(found)


def interval(before: Scores, after: Scores) -> tuple[float, float]:
    """The paired bootstrap's interval of the difference of the means."""
    generator = np.random.default_rng(0)
    per_scene = after.answers - before.answers + after.captions - before.captions
    per_cluster = after.retrieval - before.retrieval
    draws = sum(
        each[generator.integers(len(each), size=(DRAWS, len(each)))].mean(1)
        for each in (per_scene, per_cluster)
    )
    low, high = np.quantile(np.asarray(draws) / 3, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(given + [SCENES, CLUSTERS][len(given) :])))
