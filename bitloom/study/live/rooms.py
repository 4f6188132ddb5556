"""What the study needs of the other rooms, and where it finds it.

The study is where the arrows of the design meet: it drives quantize, an engine and the client. It knows
them by these protocols, and finds them by name, as the command line finds its commands; so `bitloom`
imports none of them, and `bitloom study importance` waits for no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from bitloom.errors import BitloomError
from bitloom.plan import Plan
from bitloom.results import SampleScore
from bitloom.variant import Footprint

WORKER_MODULE = "server.workers.study_worker"


class Assembly(Protocol):
    """Plans of one base as dense weights (`quantize.dense`). `refusals` are by plan hash."""

    refusals: dict[str, BitloomError]

    @property
    def model(self) -> Path:
        """The base checkpoint, which the engine loads."""
        ...

    def footprint(self, plan: Plan) -> Footprint:
        """Size of the plan's variant."""
        ...

    def write_changes(self, path: Path, plan: Plan, before: Plan | None) -> int:
        """Write the tensors in which two plans differ; how many there are."""
        ...


class ScoredEstimate(Protocol):
    """A score and its standard error."""

    @property
    def value(self) -> float:
        """The score."""
        ...

    @property
    def standard_error(self) -> float:
        """Its standard error over the samples."""
        ...


class ScoredInterval(Protocol):
    """A value and its 95 % interval, which one image does not give."""

    @property
    def value(self) -> float:
        """The value."""
        ...

    @property
    def low(self) -> float | None:
        """The interval's lower end."""
        ...

    @property
    def high(self) -> float | None:
        """The interval's upper end."""
        ...


class Examination(Protocol):
    """The samples that every plan is asked (`eval_client.examination`)."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """Names of the scores."""
        ...

    @property
    def share_names(self) -> tuple[str, ...]:
        """Names of what is kept of the base's scores; the last, `kept`, is the mean of the others."""
        ...

    def requests(self) -> list[dict[str, Any]]:
        """What the engine is asked."""
        ...

    def judge(self, answers: Sequence[Mapping[str, Any]]) -> Sequence[SampleScore]:
        """Scores of each sample, from the answers to the requests."""
        ...

    def score(
        self, answers: Sequence[Mapping[str, Any]], base: Sequence[SampleScore] | None = None
    ) -> Mapping[str, ScoredEstimate]:
        """Scores of the answers to the requests; beside the base's scores also the shares kept of them."""
        ...

    def kept(
        self,
        own: Sequence[SampleScore],
        base: Sequence[SampleScore],
        other: Sequence[SampleScore] | None = None,
    ) -> ScoredInterval:
        """The mean share kept of the base's scores, less what `other` keeps."""
        ...


def open_assembly(plans: Sequence[Plan], store: Path | None = None) -> Assembly:
    """Quantize what the plans want. Raises PlanError, CheckpointError, DataError, StoreError."""
    return cast(Assembly, _find("quantize.dense:open_assembly")(plans, store))


def open_examination(data: str, tasks: Sequence[str], samples: int, model: str) -> Examination:
    """The first samples of each task of a data set. Raises DataError, InputError."""
    found = _find("eval_client.examination:open_examination")(data, tasks, samples, model)
    return cast(Examination, found)


def fisher_losses(plans: Sequence[Plan], store: Path | None = None) -> list[float]:
    """The additive model's loss of each plan, from one calibration pass (`quantize.sensitivity`)."""
    return cast(list[float], _find("quantize.sensitivity:fisher_losses")(plans, store))


def stored_sizes(plans: Sequence[Plan]) -> list[Footprint]:
    """Sizes of the plans' variants, from headers alone. Raises PlanError, CheckpointError."""
    preview = _find("quantize.preview:preview")
    return [cast(Footprint, preview(plan).total) for plan in plans]


def _find(target: str) -> Any:
    module, attribute = target.split(":")
    return getattr(importlib.import_module(module), attribute)
