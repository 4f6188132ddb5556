"""Settings of a run: defaults < environment (`BITLOOM_EVAL_*`) < flags, resolved once, stored with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from bitloom.errors import InputError
from bitloom.results import TASKS, Arrivals, Task
from bitloom.schema import Schema
from eval_client.datasets import Limits
from eval_client.metrics.gqa import GqaVariant
from eval_client.metrics.vqa import VqaVariant
from eval_client.prompts import RetrievalMode
from eval_client.run.arrivals import Load
from eval_client.slo import parse_slo

ENVIRONMENT_PREFIX = "BITLOOM_EVAL_"
KEY_VARIABLE = "BITLOOM_API_KEY"

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class RunConfig(Schema):
    """One evaluation of one model.

    `captions`, `questions` and `retrieval` limit images to caption, questions, and images to retrieve,
    these in closed sets of `shard` images with up to `candidates` of their captions; of these, where
    `shortlist` is not 0, only pairs whose embeddings are among so many nearest are scored. `prior_weight`
    is how much of a caption's likelihood without a picture is taken off in the mode caption_likelihood.
    `max_failure_rate` is the share of failed requests above which a run fails. `timed_sequential` and
    `timed_loaded` are requests of the two timed passes; those of the second arrive as others end, or
    (`arrivals` poisson, constant) at `rate` a second. `slo` bounds what a good answer may take
    (`ttft=0.5,tpot=0.05`). `pid` is the server's process where it cannot be found.
    """

    endpoint: str
    model: str
    data: str
    tasks: tuple[Task, ...] = TASKS
    is_explicit: bool = False
    captions: Count = 200
    questions: Count = 1000
    retrieval: Count = 48
    shard: Annotated[int, Field(ge=2)] = 16
    candidates: Positive = 1
    retrieval_mode: Literal["auto"] | RetrievalMode = "auto"
    shortlist: Count = 0
    prior_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    concurrency: Positive = 8
    prompts: str = "auto"
    vqa_variant: VqaVariant = "official"
    gqa_variant: GqaVariant = "llava"
    timeout_s: Seconds = 180.0
    stall_s: Seconds = 60.0
    retries: Count = 4
    backoff_s: Seconds = 0.5
    max_failure_rate: Annotated[float, Field(ge=0, le=1)] = 0.01
    timed_sequential: Count = 16
    timed_loaded: Count = 64
    arrivals: Arrivals = "closed"
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    slo: str | None = None
    seed: int = 0
    pid: Positive | None = None

    @model_validator(mode="after")
    def _has_rate_of_arrivals(self) -> Self:
        if (self.arrivals == "closed") != (self.rate is None):
            raise ValueError(
                f"arrivals {self.arrivals} with rate {self.rate}: poisson and constant arrivals need a rate "
                "(requests a second), a closed loop has none; set both or neither"
            )
        parse_slo(self.slo)
        return self

    @property
    def load(self) -> Load:
        """How the requests of the timed pass under load arrive."""
        return Load(self.concurrency, self.arrivals, self.rate, self.seed)

    @property
    def limits(self) -> Limits:
        """Limits of the data set; nothing is read for a task that is not run."""
        return Limits(
            captions=self.captions,
            questions=self.questions if "vqa" in self.tasks else 0,
            retrieval=self.retrieval if "retrieval" in self.tasks else 0,
            shard=self.shard,
            candidates=self.candidates,
        )


def resolve_config(flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> RunConfig:
    """The settings of a run. `flags` are fields by name; None means not given.

    Raises InputError naming the variable or field that is unknown or out of range.
    """
    variables = _from_environment(os.environ if environment is None else environment)
    given = {name: value for name, value in flags.items() if value is not None}
    return RunConfig.parse(variables | given, source="evaluation settings")


def parse_tasks(text: str | None) -> tuple[Task, ...] | None:
    """`caption,vqa` as a tuple in the order of the flow; None stays None. Raises InputError."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in TASKS]:
        raise InputError(f"--tasks {text!r}: unknown task {unknown[0]!r}; choose from {', '.join(TASKS)}")
    return tuple(task for task in TASKS if task in names)


def parse_samples(text: str | None) -> dict[str, int]:
    """`50`, or `caption=200,vqa=1000,retrieval=48`, as settings. Raises InputError."""
    fields = {"caption": "captions", "vqa": "questions", "retrieval": "retrieval"}
    if text is None:
        return {}
    if text.isdecimal():
        return dict.fromkeys(fields.values(), int(text))
    settings = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name not in fields or not number.isdecimal():
            raise InputError(
                f"--samples {text!r}: {part!r} is not understood; "
                "give a number, or caption=200,vqa=1000,retrieval=48"
            )
        settings[fields[name]] = int(number)
    return settings


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    reserved = {"endpoint", "model", "data", "tasks", "is_explicit"}
    known = set(RunConfig.model_fields) - reserved
    found = {}
    for variable, value in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name not in known:
            names = ", ".join(ENVIRONMENT_PREFIX + each.upper() for each in sorted(known))
            raise InputError(f"environment variable {variable}: unknown; known are {names}")
        found[name] = value
    return found
