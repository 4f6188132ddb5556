"""Count, trace and log one request: what it waited for, how it ended. Times are `time.perf_counter()`s."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.app.answer import Usage
from server.experiments.assignment import Assignment
from server.experiments.outcome import Outcome
from server.meters import Meters
from server.metrics import finish_label

logger = logging.getLogger(__name__)

ABORTED_CODE = 499
SERVER_FAULT = 500
# Of English text, for requests whose answers do not count their tokens.
CHARACTERS_A_TOKEN = 4

# Told how a request ended: the experiment, the key's budget, the trace.
Ending = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a request before it is answered. `arrived` is a `time.perf_counter()`.

    `prompt_characters` stand for the prompt's tokens where the answer does not count them.
    """

    assignment: Assignment
    request_id: str
    key_id: str | None
    is_stream: bool
    arrived: float
    prompt_characters: int = 0


class Tally:
    """Metrics and log line of one request; exactly one of `complete`, `failed`, `aborted` ends it."""

    def __init__(self, meters: Meters, asked: Asked, endings: Sequence[Ending] = ()) -> None:
        self._meters = meters
        self._asked = asked
        self._endings = endings
        self._started_at = time.time() - (time.perf_counter() - asked.arrived)
        self._overhead: float | None = None
        self._first_content: float | None = None
        self._last_content = 0.0
        self._usage = Usage()
        self._chunks = 0

    def sending(self, ready: float) -> None:
        """The worker is about to be asked; `ready` is when the body had been read."""
        self._overhead = time.perf_counter() - ready

    def content(self, chunks: int = 1) -> None:
        """Chunks with content passed, at once."""
        now = time.perf_counter()
        self._chunks += chunks
        if self._first_content is None:
            self._first_content = now
            self._meters.first_token.observe(now - self._asked.arrived)
        else:
            self._meters.gaps.observe(now - self._last_content)
        self._last_content = now

    def usage(self, usage: Usage) -> None:
        """Token counts that the answer reported; nothing where it reported none."""
        self._usage = usage
        if usage.prompt_tokens is None or usage.completion_tokens is None:
            return
        self._meters.prompt_tokens.inc(usage.prompt_tokens)
        self._meters.generated_tokens.inc(usage.completion_tokens)
        if usage.image_tokens is not None:
            self._meters.image_tokens.inc(usage.image_tokens)
        if self._first_content is not None and usage.completion_tokens > 1:
            per_token = (self._last_content - self._first_content) / (usage.completion_tokens - 1)
            self._meters.per_token.observe(per_token)

    def complete(self, finish_reason: str | None, *, is_empty: bool) -> None:
        """The whole answer passed."""
        if is_empty:
            self._meters.empty_outputs.inc()
        self._end(200, finish_reason, is_empty=is_empty)

    def failed(self, code: int, *, is_begun: bool) -> None:
        """The request ended in an error; `is_begun` where the client had part of a stream by then."""
        if is_begun:
            self._meters.stream_errors.inc()
        self._end(code, None, is_error=is_begun or code >= SERVER_FAULT)

    def aborted(self) -> None:
        """The client went away."""
        self._meters.aborted.inc()
        self._end(ABORTED_CODE, None)

    def _end(
        self, code: int, finish_reason: str | None, *, is_empty: bool = False, is_error: bool = False
    ) -> None:
        seconds = time.perf_counter() - self._asked.arrived
        self._meters.ended(code, finish_reason).inc()
        self._meters.latency.observe(seconds)
        if self._overhead is not None:
            self._meters.overhead.observe(self._overhead)
        first = self._first_content
        outcome = Outcome(
            request_id=self._asked.request_id,
            assignment=self._asked.assignment,
            key_id=self._asked.key_id,
            started_at=self._started_at,
            code=code,
            finish_reason=finish_reason,
            is_error=is_error,
            is_aborted=code == ABORTED_CODE,
            is_empty=is_empty,
            is_stream=self._asked.is_stream,
            ttft_s=None if first is None else first - self._asked.arrived,
            latency_s=seconds,
            prompt_tokens=self._usage.prompt_tokens,
            generated_tokens=self._usage.completion_tokens,
            estimated_tokens=self._asked.prompt_characters // CHARACTERS_A_TOKEN + self._chunks,
        )
        for tell in self._endings:
            tell(outcome)
        _log(outcome, finish_label(finish_reason))


def _log(outcome: Outcome, finish: str) -> None:
    assignment = outcome.assignment
    logger.info(
        "request %s route %s variant %s: %d %s in %.3f s",
        *(outcome.request_id, assignment.route, assignment.variant, outcome.code, finish, outcome.latency_s),
        extra={
            "request_id": outcome.request_id,
            "route": assignment.route,
            "variant": assignment.variant,
            "arm": assignment.arm,
            "departure": assignment.departure,
            "key": outcome.key_id,
            "code": outcome.code,
            "finish_reason": finish,
            "ttft_s": outcome.ttft_s,
            "latency_s": outcome.latency_s,
            "prompt_tokens": outcome.prompt_tokens,
            "generated_tokens": outcome.generated_tokens,
        },
    )
