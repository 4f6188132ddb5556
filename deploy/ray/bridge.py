"""Lets the gateway reach a Ray Serve deployment as it reaches every worker: over a Unix socket.

So the gateway is the same, byte for byte, with and without Ray; the socket costs 0.2 ms. What Ray raises
becomes what a worker would do: a full queue is a 429, a lost replica a broken connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException

logger = logging.getLogger(__name__)

PASSED_HEADERS = ("content-type", "x-request-id", "traceparent")
MAX_BODY_BYTES = 1 << 30
LOOK_S = 1.0
FULL = {
    "error": {
        "message": "every replica of this variant is busy and its queue is full; try again later",
        "type": "rate_limit_error",
        "param": None,
        "code": "queue_full",
    }
}


class Bridge:
    """One variant's socket; `handle` is the deployment's, already streaming."""

    def __init__(self, name: str, app_name: str, handle: Any) -> None:
        self._name = name
        self._app_name = app_name
        self._handle = handle
        self._is_up = False

    @asynccontextmanager
    async def listening(self, socket: Path) -> AsyncIterator[None]:
        """Serve on the socket inside the block."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_route("*", "/{path:.*}", self._pass)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1, access_log=None)
        await runner.setup()
        await web.UnixSite(runner, str(socket)).start()
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()
            await runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if self._is_up else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        """None: a handle reaches one replica, and figures of one would pass for the variant's."""
        return web.Response(status=404)

    async def _look(self) -> None:
        """Follow what Serve's controller says; asking a replica would wait behind its requests."""
        while True:
            try:
                application = (await asyncio.to_thread(serve.status)).applications[self._app_name]
                states = application.deployments[self._name].replica_states
                self._is_up = any(
                    str(getattr(state, "value", state)) == "RUNNING" and n for state, n in states.items()
                )
            except (RayError, RayServeException, KeyError) as exc:
                logger.warning("the state of %s is not known: %s", self._name, exc)
            await asyncio.sleep(LOOK_S)

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in PASSED_HEADERS if name in request.headers}
        answer = self._handle.ask.remote(request.method, request.path_qs, await request.read(), headers)
        try:
            return await self._relay(request, answer)
        except BackPressureError:
            return web.json_response(FULL, status=429)
        except RayError as exc:
            logger.warning("a replica of %s was lost while it answered: %s", self._name, exc)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the replica was lost") from exc
        except (asyncio.CancelledError, ConnectionError):
            # Nobody reads any more: this ends the replica's generator, which makes the engine abort.
            answer.cancel()
            raise

    async def _relay(self, request: web.Request, answer: Any) -> web.StreamResponse:
        # The first item is awaited before any header is sent, so what fails until then has a status.
        status, kind, first = await anext(answer)
        response = web.StreamResponse(status=status, headers={"content-type": kind})
        await response.prepare(request)
        await response.write(first)
        async for piece in answer:
            await response.write(piece)
        await response.write_eof()
        return response
