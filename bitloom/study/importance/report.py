"""What `bitloom study importance --json` prints: a schema, because scripts read it."""

from __future__ import annotations

from typing import Literal

from bitloom.schema import Schema


class Measures(Schema):
    """The three views that the consensus averages: shares by feature, each summing to 1."""

    impurity: dict[str, float]
    permutation: dict[str, float]
    shap: dict[str, float]


class Interval(Schema):
    """A 95 % interval."""

    low: float
    high: float


class PairStrength(Schema):
    """Friedman's H^2 of two features: 0 where they add up, 1 where only their combination counts."""

    features: tuple[str, str]
    strength: float


class Part(Schema):
    """A part of the grid without its lowest bits; `refusal` says why it has no `consensus`."""

    rows: int
    r2: float | None
    linear_r2: float | None
    consensus: dict[str, float] | None
    refusal: str | None


class ImportanceReport(Schema):
    """Which feature matters for a score, how surely, and in which range of bits.

    `consensus` is None where the forest predicts unseen rows no better than their mean; `refusal` then says
    so. `flags` are what a reader must know before using the ranking. `failed` rows had no score.
    """

    schema_version: Literal[1] = 1
    score: str
    features: tuple[str, ...]
    rows: int
    failed: int
    r2: float
    linear_r2: float
    consensus: dict[str, float] | None
    intervals: dict[str, Interval] | None
    measures: Measures | None
    interactions: tuple[PairStrength, ...]
    restricted: dict[str, Part]
    refusal: str | None
    flags: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
