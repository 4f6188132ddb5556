"""A gateway in this process before engines that are classes in this process, all over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from aiohttp import web

from server.app import create_app
from server.app.gateway import Gateway
from server.app.http_protocol import bounded_protocol
from server.app.reload import Reread
from server.config import ServerConfig, VariantConfig
from server.settings import with_loaded
from server.stub_engine import StubEngine

Connect = Callable[..., Awaitable["Served"]]


class QuietServer(uvicorn.Server):
    """Leaves the test runner's signal handlers alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(slots=True)
class Served:
    """A running gateway, its engines by variant name, and a client for it."""

    url: str
    gateway: Gateway
    engines: dict[str, StubEngine]
    http: aiohttp.ClientSession
    stack: AsyncExitStack

    async def stop(self) -> None:
        """Stop this gateway and its engines now, so that another can use its state."""
        await self.stack.aclose()

    async def chat(self, text: str, model: str = "a", **fields: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an unstreamed chat."""
        async with self.http.post("/v1/chat/completions", json=chat(text, model, **fields)) as response:
            return response.status, await response.json()

    async def stream(self, text: str, model: str = "a", **fields: Any) -> tuple[int, bytes]:
        """Status and bytes of a streamed chat."""
        body = chat(text, model, stream=True, **fields)
        async with self.http.post("/v1/chat/completions", json=body) as response:
            return response.status, await response.read()

    def metric(self, name: str, **labels: str) -> float:
        """Value of a metric, 0 where it has none yet."""
        return self.gateway.metrics.registry.get_sample_value(f"bitloom_{name}", labels) or 0.0

    async def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait for what happens just after an answer."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
            await asyncio.sleep(0.01)


def chat(text: str, model: str = "a", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


async def run_engine(engine: StubEngine, path: Path, stack: AsyncExitStack) -> None:
    runner = web.AppRunner(engine.app(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.UnixSite(runner, str(path)).start()


async def run_gateway(
    config: ServerConfig, stack: AsyncExitStack, reread: Reread | None
) -> tuple[str, Gateway]:
    ready = asyncio.Event()
    app = create_app(config, lambda fault: ready.set(), reread)
    listener = socket.create_server(("127.0.0.1", 0))
    stack.callback(listener.close)
    protocol = bounded_protocol(config.limits.header_bytes)
    server = QuietServer(
        uvicorn.Config(app, http=protocol, ws="none", log_config=None, timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))

    async def stop() -> None:
        server.should_exit = True
        await serving

    stack.push_async_callback(stop)
    await asyncio.wait_for(ready.wait(), 30)
    return f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.gateway


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Start a gateway over stub engines: `await connect("a", "b", limits={...})`.

    `later` becomes the configuration at a reload: settings that its caller may change meanwhile.
    """
    async with AsyncExitStack() as all_started:
        # Not tmp_path: the path of a Unix socket may have 100 bytes.
        folder = Path(all_started.enter_context(tempfile.TemporaryDirectory(prefix="bl-")))

        async def start(*names: str, later: dict[str, Any] | None = None, **settings: Any) -> Served:
            stack = await all_started.enter_async_context(AsyncExitStack())
            engines = {name: StubEngine(name) for name in names}
            for name, engine in engines.items():
                await run_engine(engine, folder / name, stack)
            variants = [{"name": name, "url": f"unix:{folder / name}"} for name in names]
            config = ServerConfig.model_validate({"variants": variants, **settings})

            def reread(loaded: Sequence[VariantConfig]) -> ServerConfig:
                now = {"variants": variants, **settings, **(later or {})}
                return ServerConfig.parse(
                    {**now, "variants": with_loaded(now["variants"], loaded)}, source="test"
                )

            url, gateway = await run_gateway(config, stack, reread)
            http = await stack.enter_async_context(aiohttp.ClientSession(url))
            return Served(url, gateway, engines, http, stack)

        yield start
