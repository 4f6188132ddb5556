"""Grids whose truth is known, and the paper's own where the shared data is."""

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from bitloom.study.observations import Observations

ROOT = Path(__file__).resolve().parents[4]
LEVELS = (2, 3, 4, 6, 8)
SHARES = (0.3, 0.1, 0.6)


def quality(vision: float, connector: float, language: float) -> float:
    """0..100: any component collapses the whole, the language model from more bits on."""
    parts = [1 / (1 + np.exp(-4 * (bits - knee))) for bits, knee in ((vision, 2.5), (language, 3.2))]
    return float(100 * np.prod(parts) + 0.5 * connector)


@pytest.fixture
def grid() -> Observations:
    """125 plans of three components, without noise; sizes are bits per weight."""
    values = np.array(list(product(LEVELS, repeat=3)), dtype=np.float64)
    scores = np.array([quality(*row) for row in values])
    return Observations(
        ("vision", "connector", "language"), "score", values, scores, values @ np.array(SHARES)
    )


@pytest.fixture
def noise() -> Observations:
    """The same plans with scores that depend on nothing."""
    values = np.array(list(product(LEVELS, repeat=3)), dtype=np.float64)
    scores = np.random.default_rng(7).normal(size=len(values))
    return Observations(
        ("vision", "connector", "language"), "score", values, scores, values @ np.array(SHARES)
    )


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a results file and gives its path."""

    def write(text: str) -> Path:
        path = tmp_path / "results.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def grid_csv(grid: Observations, write_csv: Callable[[str], Path]) -> Path:
    """The grid as a file."""
    assert grid.sizes is not None
    lines = ["vision,connector,language,score,bpw"]
    rows = zip(grid.values.tolist(), grid.scores.tolist(), grid.sizes.tolist(), strict=True)
    lines += [",".join(f"{cell:.10g}" for cell in (*values, score, size)) for values, score, size in rows]
    return write_csv("\n".join(lines) + "\n")


@pytest.fixture
def paper_results() -> Path:
    """The directory of the paper's own results."""
    path = Path(os.environ.get("BITLOOM_SHARED", ROOT.parent / "shared")) / "paper_results"
    if not path.is_dir():
        pytest.skip(f"{path} does not exist; set BITLOOM_SHARED to the shared data")
    return path
