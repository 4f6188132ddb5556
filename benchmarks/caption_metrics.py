"""Tokenizing and CIDEr-D against pycocoevalcap's CIDEr alone, and the memory of a large data set.

    python -m benchmarks.caption_metrics

Both sides score the same generated captions in this run, in turns, each time in a fresh process, first
call included. pycocoevalcap gets them tokenized already; ours begin as text. Times are processor time of
one thread, the least of the rounds on either side: what other load on the machine adds is never negative.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figures, peak_rss, peer_environment, run_isolated

PEER = "pycocoevalcap"
REQUIREMENTS = ("pycocoevalcap==1.2",)
IMAGES, REFERENCES, LARGE = 5_000, 5, 40_000
ROUNDS = 3
LEAST_RATIO, MOST_MIB, MOST_DIFFERENCE = 10.0, 500.0, 1e-9

_PEER_SCRIPT = """
import json, sys, time
from pycocoevalcap.cider.cider import Cider
captions = json.load(open(sys.argv[1]))
started = time.process_time()
score, _ = Cider().compute_score(captions["references"], captions["candidates"])
print(json.dumps({"seconds": time.process_time() - started, "score": float(score)}))
"""

_NOUNS = """man woman dog cat horse train bus bench street kitchen table plate pizza giraffe zebra elephant
boat beach surfboard skateboard racket ball field park tree sign light building clock tower bathroom sink
toilet bed couch laptop phone book umbrella kite snow mountain skier player crowd child bear bird"""
_ADJECTIVES = "red white black large young wooden busy empty colorful tall green wet sunny crowded"
_VERBS = "standing sitting riding holding eating walking flying playing looking parked laying waiting"
_OPENINGS = ("A", "The", "Two", "Some", "An old", "A small", "Several", "One")
_LINKS = ("next to", "on top of", "in front of", "near", "behind", "under", "with", "at")
_PLAIN_ENDINGS = ("", ".", " .", ". ")
_ENDINGS = (" in the 1990's.", " at 5:30 p.m.", ", close-up.", " that isn't hers.")


def captions(images: int) -> tuple[list[list[str]], list[str]]:
    """References and a candidate for each image: about twelve words, one in eight not plain words."""
    draw = random.Random(0)
    words = _NOUNS.split(), _ADJECTIVES.split(), _VERBS.split()
    texts = []
    for _ in range(images):
        subjects = draw.sample(words[0], 4)
        texts.append([_caption(draw, subjects, *words) for _ in range(REFERENCES + 1)])
    return [of_image[1:] for of_image in texts], [of_image[0] for of_image in texts]


def _caption(
    draw: random.Random, subjects: list[str], nouns: list[str], adjectives: list[str], verbs: list[str]
) -> str:
    first, second = draw.sample(subjects, 2)
    ending = draw.choice(_PLAIN_ENDINGS if draw.random() < 7 / 8 else _ENDINGS)
    return (
        f"{draw.choice(_OPENINGS)} {draw.choice(adjectives)} {first} {draw.choice(verbs)} "
        f"{draw.choice(_LINKS)} a {second} {draw.choice(_LINKS)} the {draw.choice(adjectives)} "
        f"{draw.choice(nouns)}{ending}"
    )


def measure_ours(images: int) -> dict[str, float]:
    """Seconds of processor time from text to CIDEr-D, the score, and the peak memory of this process."""
    from eval_client.metrics.caption import CaptionScorer

    references, candidates = captions(images)
    started = time.process_time()
    scorer = CaptionScorer(dict(enumerate(references)))
    indexed = time.process_time()
    score, _ = scorer.cider(dict(enumerate(candidates)))
    ended = time.process_time()
    return {
        "seconds": ended - started,
        "run_seconds": ended - indexed,
        "score": score,
        "peak_mib": peak_rss() / 2**20,
    }


def measure_peer(python: Path) -> dict[str, float]:
    """Seconds of processor time of pycocoevalcap's CIDEr on tokenized captions, and the score."""
    from eval_client.metrics.ptb_tokenizer import PtbTokenizer

    references, candidates = captions(IMAGES)
    tokenizer = PtbTokenizer()
    tokenized = iter(tokenizer.tokenize([caption for texts in references for caption in texts]))
    document = {
        "references": {row: [next(tokenized) for _ in texts] for row, texts in enumerate(references)},
        "candidates": {row: [caption] for row, caption in enumerate(tokenizer.tokenize(candidates))},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        done = subprocess.run(
            [python, "-c", _PEER_SCRIPT, file.name], check=True, stdout=subprocess.PIPE, text=True
        )
    result: dict[str, float] = json.loads(done.stdout.strip().split("\n")[-1])
    return result


def measure_isolated(images: int) -> dict[str, float]:
    """`measure_ours` in a fresh process."""
    figures: dict[str, float] = json.loads(run_isolated("benchmarks.caption_metrics", "--ours", str(images)))
    return figures


def main() -> int:
    """Measure both sides and compare."""
    os.environ["OMP_NUM_THREADS"] = "1"
    python = peer_environment(PEER, REQUIREMENTS)
    rounds = [(measure_peer(python), measure_isolated(IMAGES)) for _ in range(ROUNDS)]
    peer, ours = (min(side, key=lambda each: each["seconds"]) for side in zip(*rounds, strict=True))
    large = measure_isolated(LARGE)
    ratio = peer["seconds"] / ours["seconds"]
    difference = abs(peer["score"] - ours["score"])
    figures: dict[str, float | int | str] = {
        "images": IMAGES,
        "references_per_image": REFERENCES,
        "pycocoevalcap_cider_s": peer["seconds"],
        "tokenize_and_cider_s": ours["seconds"],
        "ratio": ratio,
        "next_run_s": ours["run_seconds"],
        "score_difference": difference,
        "large_images": LARGE,
        "large_s": large["seconds"],
        "large_peak_mib": large["peak_mib"],
    }
    bar = (
        f"tokenizing and CIDEr-D at least {LEAST_RATIO:.0f} times as fast as pycocoevalcap's CIDEr, equal "
        f"scores, {LARGE} images under {MOST_MIB:.0f} MiB"
    )
    holds = ratio >= LEAST_RATIO and difference <= MOST_DIFFERENCE and large["peak_mib"] < MOST_MIB
    return Figures("caption_metrics", figures, bar, holds).close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ours"]:
        print(json.dumps(measure_ours(int(sys.argv[2]))))
    else:
        sys.exit(main())
