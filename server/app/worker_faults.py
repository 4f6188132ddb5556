"""Translate what goes wrong at a worker into errors for clients."""

from __future__ import annotations

import json

from server.errors import (
    BadRequest,
    NotFound,
    RequestError,
    TooLarge,
    TooMany,
    WorkerFailed,
    WorkerLinkError,
    WorkerTimeout,
    WorkerUnavailable,
    WorkerUnreachable,
)

# Statuses that mean that the request, not the worker, is at fault.
_REFUSALS: dict[int, type[RequestError]] = {400: BadRequest, 413: TooLarge, 422: BadRequest, 429: TooMany}
MAX_MESSAGE = 2000
# How servers answer for a path that they do not have, or not for this model.
MISSING_PATH = frozenset({404, 405, 501})


def connection_fault(fault: WorkerLinkError | TimeoutError, variant: str, retry_after_s: int) -> RequestError:
    """Error for a worker that could not be reached, was too slow, or went away."""
    if isinstance(fault, WorkerUnreachable):
        return unavailable(variant, retry_after_s)
    if isinstance(fault, TimeoutError):
        return WorkerTimeout(
            f"variant {variant} did not answer in time; ask for less, or try again", code="worker_timeout"
        )
    return WorkerFailed(
        f"the worker of variant {variant} was lost while it answered; send the request again",
        code="worker_lost",
        retry_after_s=retry_after_s,
    )


def unavailable(variant: str, retry_after_s: int) -> WorkerUnavailable:
    """Error for a variant whose worker is not up."""
    return WorkerUnavailable(
        f"variant {variant} is starting, restarting or out of service; try again in {retry_after_s} s",
        code="worker_unavailable",
        retry_after_s=retry_after_s,
    )


def refusal(status: int, body: bytes, variant: str) -> RequestError:
    """Error for an answer of the worker that is not 200; a client's fault keeps the worker's message."""
    kind = _REFUSALS.get(status)
    message, param = _read_error(body)
    if kind is None or message is None:
        return garbage(variant, f"status {status}")
    return kind(message[:MAX_MESSAGE], code="refused_by_worker", param=param)


def lacking(path: str, variant: str) -> NotFound:
    """Error for a path that not every worker serves."""
    return NotFound(
        f"variant {variant} does not serve {path}; ask for another model, or use /v1/chat/completions",
        code="not_served_by_worker",
        param="model",
    )


def garbage(variant: str, what: str) -> WorkerFailed:
    """Error for an answer that no OpenAI endpoint gives."""
    return WorkerFailed(
        f"the worker of variant {variant} failed ({what}); its log has the reason", code="worker_failed"
    )


def _read_error(body: bytes) -> tuple[str | None, str | None]:
    try:
        error = json.loads(body)["error"]
        message, param = error["message"], error.get("param")
    except (ValueError, LookupError, TypeError, AttributeError):
        return None, None
    return (message if isinstance(message, str) else None), (param if isinstance(param, str) else None)
