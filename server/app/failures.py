"""Answer every failure with OpenAI's error object."""

from __future__ import annotations

import logging

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from server.app.gateway import gateway_of
from server.errors import RequestError

logger = logging.getLogger(__name__)

CLIENT_GONE = 499


class _PathError(RequestError):
    kind = "invalid_request_error"


def install_failures(app: FastAPI) -> None:
    """Make the app's own and Starlette's failures look alike."""
    app.add_exception_handler(RequestError, _request_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(ClientDisconnect, _client_disconnect)
    app.add_exception_handler(Exception, _unforeseen)


def refuse(request: Request, error: RequestError) -> Response:
    """Answer of a request that no worker saw, counted."""
    gateway_of(request).metrics.rejected.labels(error.code).inc()
    fields = {"request_id": request.state.request_id, "code": error.status, "reason": error.code}
    logger.info("request %s refused: %d %s", *fields.values(), extra=fields)
    return _answer(request, error, error.status)


async def _request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return refuse(request, error)


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    gateway_of(request).metrics.rejected.labels(code).inc()
    message = f"{error.detail}: {request.method} on this path is not served; see /openapi.json"
    return _answer(request, _PathError(message, code=code), error.status_code, dict(error.headers or {}))


async def _client_disconnect(request: Request, _: Exception) -> Response:
    return forsake(request)


def forsake(request: Request) -> Response:
    """Nobody reads this answer; it ends the request without a traceback in the log."""
    gateway_of(request).metrics.rejected.labels("client_gone").inc()
    return Response(status_code=CLIENT_GONE)


async def _unforeseen(request: Request, _: Exception) -> Response:
    message = "the server failed; its log has the reason under this request's id"
    return _answer(request, RequestError(message, code="internal_error"), 500)


def _answer(
    request: Request, error: RequestError, status: int, headers: dict[str, str] | None = None
) -> Response:
    fields = {**(headers or {}), **error.headers()}
    response = JSONResponse(error.document(), status, fields)
    if (assignment := getattr(request.state, "assignment", None)) is not None:
        response.raw_headers.extend(assignment.headers())
    return response
