"""Read a JSON body within its limits, while it streams in."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from server.config import Limits, Timeouts
from server.errors import BadRequest, ClientTimeout, TooLarge


async def read_json_body(request: Request, limits: Limits, timeouts: Timeouts) -> bytes:
    """Bytes of the body, not parsed yet.

    Raises BadRequest for another content type (browsers can send those across sites unasked),
    TooLarge as soon as the limit is passed, ClientTimeout for a body that dribbles in, and
    starlette's ClientDisconnect.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise BadRequest(
            "the content type must be application/json; send that header", code="unsupported_content_type"
        )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > limits.body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(timeouts.body_s):
            body = await _read(request, limits)
    except TimeoutError as exc:
        raise ClientTimeout(
            f"the body did not arrive within {timeouts.body_s:g} s; send it faster", code="body_timeout"
        ) from exc
    if body.count(b",") > limits.json_elements:
        raise TooLarge(
            f"the body has more than {limits.json_elements} JSON elements; send less", code="body_too_complex"
        )
    return body


async def _read(request: Request, limits: Limits) -> bytes:
    receive = request.receive
    pieces = []
    size = 0
    is_more = True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        size += len(piece)
        if size > limits.body_bytes:
            raise _too_large(limits)
        pieces.append(piece)
        is_more = message.get("more_body", False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limits: Limits) -> TooLarge:
    return TooLarge(
        f"the body is over {limits.body_bytes} bytes; send fewer or smaller images", code="body_too_large"
    )
