"""METEOR (Denkowski and Lavie 2014), through pycocoevalcap and Java where both are there.

METEOR's aligner, stemmer and paraphrase table exist as a Java program only; pycocoevalcap runs it.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np

from bitloom.errors import InputError
from eval_client.metrics.caption.ngrams import Floats

_MODULE = "pycocoevalcap.meteor.meteor"


class _Meteor(Protocol):
    def compute_score(
        self, gts: dict[int, list[str]], res: dict[int, list[str]]
    ) -> tuple[float, list[float]]: ...


def missing_for_meteor() -> str | None:
    """What METEOR lacks here, with the remedy; None where it can run."""
    if shutil.which("java") is None:
        return "METEOR needs a Java runtime: install one (Debian: default-jre-headless)"
    if importlib.util.find_spec("pycocoevalcap") is None:
        return "METEOR needs pycocoevalcap: pip install pycocoevalcap==1.2"
    return None


def meteor(references: Sequence[Sequence[str]], candidates: Sequence[str]) -> tuple[float, Floats]:
    """METEOR of the corpus and of each candidate, all tokenized. InputError where it cannot run."""
    missing = missing_for_meteor()
    if missing is not None:
        raise InputError(missing)
    scorer = cast(_Meteor, importlib.import_module(_MODULE).Meteor())
    by_row = {row: list(captions) for row, captions in enumerate(references)}
    corpus, scores = scorer.compute_score(by_row, {row: [each] for row, each in enumerate(candidates)})
    return corpus, np.array(scores)
