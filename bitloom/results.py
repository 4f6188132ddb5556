"""Results of a run: what `eval_client` writes and the report and the study read.

A results directory holds, in the order in which they are written:

    plan.json       RunPlan: what is asked of whom; a resumed run must have the same
    samples.jsonl   one SampleRecord a line, append-only; of several with one id the last one holds
    memory.jsonl    one MemorySample a line
    latency.jsonl   one SampleRecord a line: the timed passes, never used for scores
    scores.jsonl    one SampleScore a line
    run.json        RunManifest, written last: a directory without it is an unfinished run
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bitloom.errors import DataError, InputError
from bitloom.files import Sha256
from bitloom.plan import Component
from bitloom.provenance import Provenance
from bitloom.schema import Schema

Task = Literal["caption", "retrieval", "vqa"]
TASKS: tuple[Task, ...] = ("caption", "retrieval", "vqa")
SampleState = Literal["answered", "failed"]
Arrivals = Literal["closed", "poisson", "constant"]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]

PLAN_NAME = "plan.json"
SAMPLES_NAME = "samples.jsonl"
MEMORY_NAME = "memory.jsonl"
LATENCY_NAME = "latency.jsonl"
SCORES_NAME = "scores.jsonl"
RUN_NAME = "run.json"


class Usage(Schema):
    """Tokens of one request as the endpoint counts them."""

    prompt_tokens: Count
    completion_tokens: Count


class SampleRecord(Schema):
    """One request of a run. A failed request has no answer and counts towards no score or latency.

    `chunk_times_s` are seconds from sending to each chunk with content; the first is the TTFT.
    `scorer` names how the answer to a question is scored where that is not VQA accuracy (`gqa:llava`,
    `pope`), or what a request of retrieval other than about a pair is for (`embedding`, `prior:WEIGHT`).
    `score` is what the request says about a retrieval pair (log-odds or log-likelihood), `caption_id` the
    pair's caption, `embedding` what it says about one side of pairs (base64 of float32, rows of
    `embedding_width`). `error` starts with the kind of the failure (`refused: ...`). `sent_at_s` is Unix
    time. `queued_s` is how long a request that arrives at a set rate waited inside the client before it was
    sent; no latency counts it.
    """

    sample_id: str
    task: Task
    image_id: str
    kind: str | None = None
    caption_id: str | None = None
    references: tuple[str, ...] = ()
    scorer: str | None = None
    request_hash: Sha256
    image_sha256: Sha256
    prompt: str
    state: SampleState
    answer: str | None
    score: float | None = None
    embedding: str | None = None
    embedding_width: Count | None = None
    error: str | None
    finish_reason: str | None
    usage: Usage | None
    sent_at_s: float
    chunk_times_s: tuple[Seconds, ...]
    end_s: Seconds | None
    retries: Count
    queued_s: Seconds | None = None


class SampleScore(Schema):
    """What one sample scored, by metric; runs of the same samples are compared through these lines."""

    sample_id: str
    task: Task
    image_id: str
    kind: str | None = None
    scores: dict[str, float]


class Quantiles(Schema):
    """Quantiles of a latency in seconds over `count` values."""

    count: Count
    mean: float
    p50: float
    p90: float
    p99: float


class LatencyPass(Schema):
    """A timed pass: `requests` requests, `concurrency` at a time, no retries, images never sent before.

    Failed requests are counted and left out of every figure. TPOT of a request is
    (last chunk - first chunk) / (generated tokens - 1); inter-token times are gaps between chunks.
    `arrivals` says what sends the next request: the end of one before it (`closed`), or a clock at
    `rate_per_s` (`poisson`, `constant`), where `concurrency` is the most at a time and `queued_s` the wait
    for a place in the client. `good` requests kept every bound of `slo` (seconds), `goodput_per_s` is how
    many of them came in a second; both are None where no bound was given.
    """

    concurrency: Annotated[int, Field(ge=1)]
    requests: Count
    failed: Count
    time_to_first_token_s: Quantiles | None
    inter_token_s: Quantiles | None
    time_per_output_token_s: Quantiles | None
    request_latency_s: Quantiles | None
    generated_tokens_per_s: float | None
    requests_per_s: float | None
    arrivals: Arrivals = "closed"
    rate_per_s: float | None = None
    queued_s: Quantiles | None = None
    slo: dict[str, float] = Field(default_factory=dict)
    good: Count | None = None
    goodput_per_s: float | None = None


class Score(Schema):
    """One figure of a task, with its 95 % interval (bootstrap clustered by image) where it has one."""

    task: Task
    name: str
    value: float
    low: float | None = None
    high: float | None = None
    samples: Count


class MemorySample(Schema):
    """Memory of the workers at one moment of a run, in bytes. `at_s` is Unix time.

    `kv_cache_share` is how much of the engine's cache is in use (0 to 1), by the engine's own metric.
    """

    at_s: float
    resident_bytes: Count
    proportional_bytes: Count | None = None
    gpu_bytes: Count | None = None
    kv_cache_share: float | None = None


class WeightMemory(Schema):
    """Bytes of one component's tensors: as the worker says after loading, and as its manifest predicts."""

    loaded_bytes: Count
    predicted_bytes: Count | None = None


class MemoryUse(Schema):
    """Memory over the run. `source` says whose: the gateway's figure for the variant, or a process tree.

    `weights` is what each component's tensors take, `loaded_resident_bytes` the worker's resident set when
    its model was loaded and `loaded_peak_bytes` the most it had until then: as the endpoint's metrics say.
    Figures are None where they could not be read: GPU bytes without NVML, proportional sets of processes on
    another machine or behind a gateway, the cache of an engine without vLLM's metric.
    """

    source: str
    samples: Count
    peak_resident_bytes: Count
    mean_resident_bytes: float
    peak_gpu_bytes: Count | None = None
    mean_gpu_bytes: float | None = None
    peak_proportional_bytes: Count | None = None
    mean_proportional_bytes: float | None = None
    peak_kv_cache_share: float | None = None
    mean_kv_cache_share: float | None = None
    weights: dict[Component, WeightMemory] = Field(default_factory=dict)
    loaded_resident_bytes: Count | None = None
    loaded_peak_bytes: Count | None = None


class RunPlan(Schema):
    """`plan.json`: everything that decides what is asked, and how answers are scored.

    A run is resumed only with an equal plan; two runs whose plans differ in the model alone are comparable.
    """

    file_error: ClassVar[type[InputError]] = DataError

    schema_version: Literal[1] = 1
    model: str
    model_card: dict[str, Any] = Field(default_factory=dict)
    dataset: str
    dataset_hash: Sha256
    tasks: tuple[Task, ...]
    limits: dict[str, int]
    prompts: dict[str, Any]
    modes: dict[str, str]
    seed: int


class RunManifest(Schema):
    """`run.json`: plan, scores, latency and memory of one finished evaluation of one model.

    `plan.modes` names how things were measured where there is a choice (`vqa: official`,
    `retrieval: yes_probability`), `config` holds every setting. `breakdown` is a task's score by kind of
    question. `notes` say what was not measured, and why. `interleaved` is the same in the two runs of one
    `bitloom ab`, which were asked at once.
    """

    file_error: ClassVar[type[InputError]] = DataError

    schema_version: Literal[1] = 1
    model: str
    endpoint: str
    plan: RunPlan
    config: dict[str, Any]
    provenance: Provenance
    scores: tuple[Score, ...]
    breakdown: dict[str, dict[str, float]] = Field(default_factory=dict)
    latency: tuple[LatencyPass, ...]
    memory: MemoryUse | None
    requests: Count
    failed: Count
    retried: Count
    notes: tuple[str, ...] = ()
    interleaved: str | None = None

    def score(self, name: str) -> Score | None:
        """The score of that name (`CIDEr`, `text_to_image_R@1`, `vqa_accuracy`), or None."""
        return next((score for score in self.scores if score.name == name), None)

    @property
    def sequential(self) -> LatencyPass | None:
        """The timed pass with one request at a time, or None."""
        return next((each for each in self.latency if each.concurrency == 1), None)

    @property
    def loaded(self) -> LatencyPass | None:
        """The timed pass with the most requests at a time, or None."""
        return max(self.latency, key=lambda each: each.concurrency, default=None)
