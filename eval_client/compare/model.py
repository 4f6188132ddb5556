"""The result of a comparison, as `bitloom compare --json` prints it and files hold it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bitloom.files import Sha256
from bitloom.results import Count, Task
from bitloom.schema import Schema

Outcome = Literal["equivalent", "worse", "better", "undecided"]
Chance = Annotated[float, Field(ge=0, le=1)]
Load = Literal["sequential", "loaded"]
Figure = Literal["TTFT", "TPOT", "request"]
LatencyOutcome = Literal["faster", "slower", "undecided"]


class ComparedRun(Schema):
    """Which run it was. `failed` requests are in no score."""

    model: str
    directory: str
    created_at: str
    git_commit: str | None
    requests: Count
    failed: Count


class MetricComparison(Schema):
    """One metric of two runs, over the samples that both have.

    `difference` is B minus A, `low` and `high` its 95 % interval by paired bootstrap of images. `p_value` is
    that of `test`; `p_holm` is corrected over the primary metrics of all tasks, and None for the others.
    `p_equivalence` is that of equivalence within `margin`; `shown_margin` is the smallest margin that holds
    at 5 %, `detectable` the smallest true difference that this sample finds with 80 % chance.
    """

    task: Task
    name: str
    is_primary: bool
    samples: Count
    images: Count
    a: float
    b: float
    difference: float
    low: float
    high: float
    test: str
    p_value: Chance
    p_holm: Chance | None = None
    margin: Annotated[float, Field(gt=0)]
    p_equivalence: Chance
    shown_margin: float
    detectable: float
    outcome: Outcome
    verdict: str


class LatencyComparison(Schema):
    """One latency of the timed passes, in seconds, over pairs of requests about the same sample.

    Differences (B minus A) and ratios (B over A) are those of the medians, with 95 % intervals by paired
    bootstrap of samples.
    """

    load: Load
    figure: Figure
    pairs: Count
    a_s: float
    b_s: float
    difference_s: float
    low_s: float
    high_s: float
    ratio: float
    ratio_low: float
    ratio_high: float
    outcome: LatencyOutcome
    verdict: str


class Comparison(Schema):
    """`comparison.json`: everything that two runs say about each other.

    `is_interleaved`: both were asked at once by `bitloom ab`, so that no drift of the machine is in the
    latencies. `notes` say what limits the comparison.
    """

    schema_version: Literal[1] = 1
    a: ComparedRun
    b: ComparedRun
    dataset: str
    dataset_hash: Sha256
    modes: dict[str, str]
    is_interleaved: bool
    seed: int
    metrics: tuple[MetricComparison, ...]
    latency: tuple[LatencyComparison, ...]
    notes: tuple[str, ...] = ()
