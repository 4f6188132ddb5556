"""Errors of the evaluation client.

    EndpointError               (bitloom.errors) exit code 1
    ├── RequestError            one request failed; `kind` says how, `is_transient` whether a retry may help
    └── RunStoppedError         a run ended early; what it has is kept and can be resumed

`FailureKind`: refused (no connection), timeout (took longer than allowed), stalled (no byte for too long),
closed (connection closed half-way), garbage (not what the protocol allows), empty (no choices), error_body
(an error object where an answer should be), http_4xx, http_5xx, aborted (the engine gave the request up).
"""

from __future__ import annotations

from typing import Literal

from bitloom.errors import EndpointError

FailureKind = Literal[
    "refused",
    "timeout",
    "stalled",
    "closed",
    "garbage",
    "empty",
    "error_body",
    "http_4xx",
    "http_5xx",
    "aborted",
]


class RequestError(EndpointError):
    """One request failed. `retry_after_s` is what the endpoint asked for, if it did."""

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        is_transient: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.is_transient = is_transient
        self.retry_after_s = retry_after_s


class RunStoppedError(EndpointError):
    """A run ended early: the endpoint is gone, or too many requests failed."""
