"""How one request ended, as everything that judges, keeps or reports it needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from server.experiments.assignment import Assignment


@dataclass(frozen=True, slots=True)
class Outcome:
    """`started_at` is in Unix seconds; `ttft_s` is None without a stream or without any content.

    `is_error` is the worker's or the server's fault (a status of 500 and above, or an error inside the
    stream), not the client's. Token counts are None where the answer did not report them;
    `estimated_tokens` stand for them then.
    """

    request_id: str
    assignment: Assignment
    key_id: str | None
    started_at: float
    code: int
    finish_reason: str | None
    is_error: bool
    is_aborted: bool
    is_empty: bool
    is_stream: bool
    ttft_s: float | None
    latency_s: float
    prompt_tokens: int | None
    generated_tokens: int | None
    estimated_tokens: int = 0

    @property
    def charged_tokens(self) -> int:
        """Tokens that the request's key pays for."""
        if self.prompt_tokens is None or self.generated_tokens is None:
            return self.estimated_tokens
        return self.prompt_tokens + self.generated_tokens

    @property
    def is_complete(self) -> bool:
        """Whether the client got a whole answer."""
        return self.code == 200 and not self.is_error
