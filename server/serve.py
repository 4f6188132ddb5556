"""Run the gateway as a process: bind, serve, announce, drain, stop."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
import uvloop
from fastapi import FastAPI

from bitloom.errors import BitloomError, InputError, WorkerError
from server.app import create_app
from server.app.access import is_loopback
from server.app.http_protocol import bounded_protocol
from server.app.reload import Reread, reload
from server.config import ServerConfig

logger = logging.getLogger(__name__)

BACKLOG = 2048
# Longer than clients keep idle connections (OpenAI's 5 s), so that none is closed just as a request comes.
KEEP_ALIVE_S = 75


def serve(config: ServerConfig, announce: Callable[[str], None], reread: Reread | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then drain and stop the workers; SIGHUP reads the configuration again.

    `announce` is called with the server's URL once every variant answers, `reread` gives the configuration
    as it is at a reload. Raises InputError where the
    address cannot be had or a variant cannot be served, WorkerError where a worker does not come up;
    nothing is left running.
    """
    faults: list[WorkerError] = []
    if config.keys_file is None and not is_loopback(config.host):
        logger.warning(
            "listening on %s, not only on this machine, without keys: whoever reaches the port may use "
            "the models; bind to 127.0.0.1, or give a keys_file (`bitloom keys create`)",
            config.host,
        )
    with bind(config.host, config.port) as listener:

        def on_startup(fault: WorkerError | None) -> None:
            if fault is None:
                announce(_url(listener))
            else:
                faults.append(fault)
                server.should_exit = True

        app = create_app(config, on_startup, reread)
        server = _Server(_uvicorn_config(app, config), app)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[listener]))
    if faults:
        raise faults[0]
    if not server.started:
        raise BitloomError("the gateway did not start; the log above has the reason")


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; raise InputError that names the address and says what to do."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as exc:
        raise InputError(f"host {host}: no such address; give an address of this machine") from exc
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} on {host} is in use; give another with --port, or stop what listens there"
            ) from exc
        raise InputError(
            f"{host}:{port} cannot be bound ({exc.strerror}); give another --host or --port"
        ) from exc
    return listener


class _Server(uvicorn.Server):
    """uvicorn, whose signals end in a return: its own handling kills the process before clean-up."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self._reloads: set[asyncio.Task[None]] = set()

    def _reload(self) -> None:
        task = asyncio.get_running_loop().create_task(_reload(self._app), name="reload")
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)


async def _reload(app: FastAPI) -> None:
    """A reload that nobody waits for: what is wrong is logged, and nothing changes."""
    try:
        await reload(app)
    except BitloomError as exc:
        logger.error("the configuration stays as it was: %s", exc)


def _uvicorn_config(app: FastAPI, config: ServerConfig) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=bounded_protocol(config.limits.header_bytes),
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(config.timeouts.drain_s),
    )


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
