"""A request's span reaches a collector over OTLP, and its worker gets the trace."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")


async def test_spans_reach_the_collector(connect: Any) -> None:
    bodies: list[bytes] = []

    async def collect(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", collect)
    runner = web.AppRunner(app)
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        served = await connect("a", tracing={"endpoint": f"http://127.0.0.1:{port}/v1/traces"})
        assert (await served.chat("tokens=1 the secret prompt"))[0] == 200
        assert served.engines["a"].headers[0]["traceparent"].startswith("00-")
        await asyncio.wait_for(served.stop(), 30)
    sent = b"".join(bodies)
    assert b"gen_ai.response.model" in sent
    assert b"chat a" in sent
    assert b"secret" not in sent
