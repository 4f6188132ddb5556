"""Pass one request to its worker and the worker's answer back, as it comes.

The answer's bytes are not changed. Nothing is sent to the client before the worker's first event (or,
without streaming, its whole answer) is here, so that what fails before gets a status of its own; what
fails later ends the stream with an error event and without [DONE].
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.app.admission import Admission
from server.app.answer import Reading, read_completion
from server.app.event_stream import EventStream
from server.app.tally import Tally
from server.app.worker_faults import MISSING_PATH, connection_fault, garbage, lacking, refusal, unavailable
from server.config import Timeouts
from server.errors import RequestError, WorkerFailed, WorkerTimeout
from server.experiments.assignment import Assignment
from server.supervisor.state import State
from server.supervisor.worker import Worker

logger = logging.getLogger(__name__)

MAX_ERROR_BYTES = 64 << 10
# States in which a request that was let in is still sent: a variant that drains finishes what it has.
TAKING = frozenset({State.READY, State.SWAPPING, State.DRAINING})
Read = Callable[[bytes], Reading]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a worker is asked. `make_body` decodes the media, so it runs while the client is watched.

    `headers` go to the worker; `passed` is shown the answer's bytes, before its end is told. `is_optional`
    where a worker need not have the path; `read` takes what is counted from a whole answer.
    """

    path: str
    make_body: Callable[[], Awaitable[bytes]]
    request_id: str
    is_stream: bool
    ready: float
    assignment: Assignment
    headers: Mapping[str, str] = field(default_factory=dict)
    passed: Callable[[bytes], None] | None = None
    is_optional: bool = False
    read: Read = read_completion


class WorkerAnswer(Response):
    """An ASGI response that asks the worker when it is sent, and stops asking when the client leaves."""

    def __init__(
        self, ask: Ask, worker: Worker, admission: Admission, tally: Tally, timeouts: Timeouts
    ) -> None:
        self._ask = ask
        self._worker = worker
        self._variant = worker.variant.name
        self._admission = admission
        self._tally = tally
        self._timeouts = timeouts
        self._is_begun = False
        self.background = None

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Relay until the answer or the client ends, whichever is first.

        Raises RequestError, before anything is sent, for what keeps the worker from being asked.
        """
        with (
            self._admission.enter(self._variant),
            self._worker.gate.arriving(),
            self._worker.circuit.trying() as may_go,
        ):
            if not may_go:
                error = unavailable(self._variant, self._worker.retry_after_s)
                self._tally.failed(error.status, is_begun=False)
                raise error
            relay = asyncio.create_task(self._relay(send))
            gone = asyncio.create_task(_disconnected(receive))
            try:
                await asyncio.wait({relay, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not relay.done():
                    self._tally.aborted()
            finally:
                gone.cancel()
                # Cancelling closes the connection to the worker, which makes the engine abort.
                relay.cancel()
                await asyncio.wait({relay, gone})
        if not relay.cancelled():
            relay.result()

    async def _relay(self, send: Send) -> None:
        body = await self._ask.make_body()
        self._tally.sending(self._ask.ready)
        try:
            async with self._at_the_worker():
                await self._exchange(body, send)
        except RequestError as refused:
            if isinstance(refused, WorkerFailed):
                self._worker.circuit.failed()
            await self._fail(refused, send)
        except (aiohttp.ClientError, TimeoutError) as fault:
            error = connection_fault(fault, self._variant, self._worker.retry_after_s)
            error.__cause__ = fault
            if isinstance(error, WorkerFailed | WorkerTimeout):
                self._worker.circuit.failed()
            await self._fail(error, send)

    @asynccontextmanager
    async def _at_the_worker(self) -> AsyncIterator[None]:
        """Pass the worker's gate; raises TimeoutError where it stays closed, WorkerUnavailable behind it."""
        async with AsyncExitStack() as inside:
            async with asyncio.timeout(self._timeouts.first_byte_s):
                await inside.enter_async_context(self._worker.gate.passing(self._ask.assignment.route))
            if self._worker.state not in TAKING:
                raise unavailable(self._variant, self._worker.retry_after_s)
            yield

    async def _exchange(self, body: bytes, send: Send) -> None:
        async with (
            asyncio.timeout(self._timeouts.first_byte_s) as limit,
            self._worker.client.post(
                self._ask.path, body, self._ask.request_id, self._ask.headers
            ) as response,
        ):
            if self._ask.is_optional and response.status in MISSING_PATH:
                raise lacking(self._ask.path, self._variant)
            if response.status != 200:
                raise refusal(response.status, await response.content.read(MAX_ERROR_BYTES), self._variant)
            if self._ask.is_stream:
                await self._relay_events(response, limit, send)
            else:
                await self._relay_whole(response, send)

    async def _relay_events(
        self, response: aiohttp.ClientResponse, limit: asyncio.Timeout, send: Send
    ) -> None:
        if response.content_type != "text/event-stream":
            raise garbage(self._variant, f"a stream was asked for, {response.content_type} came")
        stream = EventStream()
        is_empty = True
        loop = asyncio.get_running_loop()
        async for data in response.content.iter_any():
            limit.reschedule(loop.time() + self._timeouts.idle_s)
            events = stream.feed(data)
            if not events:
                continue
            if stream.has_content:
                is_empty = False
                self._tally.content(events.count(b"data:"))
            if self._ask.passed is not None:
                self._ask.passed(events)
            await self._send_events(events, send)
        if not stream.is_done and not stream.has_error:
            raise garbage(self._variant, "its stream ended early")
        self._tally.usage(stream.usage)
        if stream.has_error:
            self._tally.failed(200, is_begun=True)
        else:
            self._worker.circuit.answered()
            self._tally.complete(stream.finish_reason, is_empty=is_empty)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_events(self, events: bytes, send: Send) -> None:
        if not self._is_begun:
            self._is_begun = True
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [
                        (b"content-type", b"text/event-stream; charset=utf-8"),
                        (b"cache-control", b"no-cache"),
                        *self._ask.assignment.headers(),
                    ],
                }
            )
        await send({"type": "http.response.body", "body": events, "more_body": True})

    async def _relay_whole(self, response: aiohttp.ClientResponse, send: Send) -> None:
        body = await response.read()
        try:
            reading = self._ask.read(body)
        except ValidationError as exc:
            raise garbage(self._variant, "its answer is no completion") from exc
        if self._ask.passed is not None:
            self._ask.passed(body)
        # The client has its answer before anything is counted or logged.
        await self._respond(200, body, {}, send)
        self._worker.circuit.answered()
        self._tally.usage(reading.usage)
        self._tally.complete(reading.finish_reason, is_empty=reading.is_empty)

    async def _fail(self, error: RequestError, send: Send) -> None:
        reason = error.__cause__ or error
        logger.warning(
            "request %s variant %s: %s (%r)",
            *(self._ask.request_id, self._variant, error.code, reason),
            extra={"request_id": self._ask.request_id, "variant": self._variant, "reason": error.code},
        )
        self._tally.failed(error.status, is_begun=self._is_begun)
        document = json.dumps(error.document()).encode()
        if self._is_begun:
            event = b"data: " + document + b"\n\n"
            await send({"type": "http.response.body", "body": event, "more_body": False})
        else:
            await self._respond(error.status, document, error.headers(), send)

    async def _respond(self, status: int, body: bytes, headers: dict[str, str], send: Send) -> None:
        fields = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        raw = [(name.encode(), value.encode()) for name, value in fields.items()]
        raw += self._ask.assignment.headers()
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body, "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
