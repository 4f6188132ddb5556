"""Pass one request to its worker and the worker's answer back, as it comes.

The answer's bytes are those of the worker, save what `Ask.mend` changes in their form. Nothing is sent to the
client before the worker's first event (or, without streaming, its whole answer) is here, so that what fails
before gets a status of its own; what fails later ends the stream with an error event and without [DONE].
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.app.admission import Admission
from server.app.answer import Reading, read_completion
from server.app.departure import watched
from server.app.event_stream import EventStream
from server.app.official_form import error_form
from server.app.tally import Tally
from server.app.worker_faults import MISSING_PATH, connection_fault, garbage, lacking, refusal, unavailable
from server.config import Timeouts
from server.connection import Connection
from server.errors import RequestError, WorkerFailed, WorkerLinkError, WorkerTimeout
from server.experiments.assignment import Assignment
from server.keys import KeyRecord
from server.supervisor.state import State
from server.supervisor.worker import Worker

logger = logging.getLogger(__name__)

MAX_ERROR_BYTES = 64 << 10
RUN_OUT_S = 1.0
# States in which a request that was let in is still sent: a variant that drains finishes what it has.
TAKING = frozenset({State.READY, State.SWAPPING, State.DRAINING})
Read = Callable[[bytes], Reading]
Mend = Callable[[bytes], bytes]


def as_it_is(answer: bytes) -> bytes:
    """The answer, unchanged."""
    return answer


@dataclass(frozen=True, slots=True)
class Ask:
    """What a worker is asked. `make_body` decodes the media, so it runs while the client is watched.

    `headers` go to the worker; `passed` is shown the answer's bytes, before its end is told. `is_optional`
    where a worker need not have the path; `read` takes what is counted from a whole answer, `mend` gives an
    answer, or whole events of one, its form.
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
    mend: Mend = as_it_is
    key: KeyRecord | None = None


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
        self._is_ended = False
        self._is_gone = False
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay until the answer or the client ends, whichever is first.

        Raises RequestError, before anything is sent, for what keeps the worker from being asked.
        """
        with (
            self._admission.enter(self._variant, self._ask.key),
            self._worker.gate.arriving(),
            self._worker.circuit.trying() as may_go,
        ):
            if not may_go:
                error = unavailable(self._variant, self._worker.retry_after_s)
                self._tally.failed(error.status, is_begun=False)
                raise error
            await self._relay_watched(scope, receive, send)

    async def _relay_watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None

        def stop() -> None:
            if not self._is_ended:
                self._is_gone = True
                # Cancelling closes the connection to the worker, which makes the engine abort.
                task.cancel()

        try:
            with watched(scope, receive, stop):
                await self._relay(send)
        except asyncio.CancelledError:
            if not self._is_gone or task.uncancel() > 0:
                raise
            self._tally.aborted()
        finally:
            self._is_ended = True

    async def _relay(self, send: Send) -> None:
        body = await self._ask.make_body()
        self._tally.sending(self._ask.ready)
        worker = self._worker
        try:
            async with worker.gate.passing(self._ask.assignment.route, self._timeouts.first_byte_s):
                if worker.state not in TAKING:
                    raise unavailable(self._variant, worker.retry_after_s)
                await self._exchange(body, send)
        except RequestError as refused:
            if isinstance(refused, WorkerFailed):
                worker.circuit.failed()
            await self._fail(refused, send)
        except (WorkerLinkError, TimeoutError) as fault:
            error = connection_fault(fault, self._variant, worker.retry_after_s)
            error.__cause__ = fault
            if isinstance(error, WorkerFailed | WorkerTimeout):
                worker.circuit.failed()
            await self._fail(error, send)

    async def _exchange(self, body: bytes, send: Send) -> None:
        ask = self._ask
        exchange = self._worker.client.post(ask.path, body, ask.request_id, ask.headers)
        async with exchange.within(self._timeouts.first_byte_s) as answer:
            if ask.is_optional and answer.status in MISSING_PATH:
                raise lacking(ask.path, self._variant)
            if answer.status != 200:
                raise refusal(answer.status, await answer.body(MAX_ERROR_BYTES), self._variant)
            if ask.is_stream:
                await self._relay_events(answer, send)
            else:
                await self._relay_whole(answer, send)

    async def _relay_events(self, answer: Connection, send: Send) -> None:
        content_type = answer.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if content_type != b"text/event-stream":
            raise garbage(self._variant, f"a stream was asked for, {content_type.decode('latin-1')} came")
        stream = EventStream()
        is_empty = True
        while not stream.is_done and (data := await answer.piece()):
            if events := stream.feed(data):
                if stream.has_content:
                    is_empty = False
                    self._tally.content(events.count(b"data:"))
                events = error_form(events) if stream.has_error else self._ask.mend(events)
                if self._ask.passed is not None:
                    self._ask.passed(events)
                await self._send_events(events, send, is_last=stream.is_done)
            # Only now: the time that the client takes is not the worker's.
            answer.expect_within(self._timeouts.idle_s)
        if not stream.is_done and not stream.has_error:
            raise garbage(self._variant, "its stream ended early")
        if not stream.is_done:
            await self._send_events(b"", send, is_last=True)
        self._tally.usage(stream.usage)
        if stream.has_error:
            self._tally.failed(200, is_begun=True)
        else:
            self._worker.circuit.answered()
            self._tally.complete(stream.finish_reason, is_empty=is_empty)
        await self._run_out(answer)

    async def _run_out(self, answer: Connection) -> None:
        """Wait a little for the end of an answer that is done, so that its connection serves again."""
        try:
            answer.expect_within(RUN_OUT_S)
            while await answer.piece():
                pass
        except (WorkerLinkError, TimeoutError) as fault:
            logger.debug("variant %s: no end after the end of a stream (%r)", self._variant, fault)

    async def _send_events(self, events: bytes, send: Send, *, is_last: bool) -> None:
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
        # The end goes out with the last event; that the client leaves then is no abort.
        self._is_ended = is_last
        await send({"type": "http.response.body", "body": events, "more_body": not is_last})

    async def _relay_whole(self, answer: Connection, send: Send) -> None:
        body = await answer.body()
        try:
            reading = self._ask.read(body)
        except ValidationError as exc:
            raise garbage(self._variant, "its answer is no completion") from exc
        body = self._ask.mend(body)
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
            self._is_ended = True
            event = b"data: " + document + b"\n\n"
            await send({"type": "http.response.body", "body": event, "more_body": False})
        else:
            await self._respond(error.status, document, error.headers(), send)

    async def _respond(self, status: int, body: bytes, headers: dict[str, str], send: Send) -> None:
        fields = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        raw = [(name.encode(), value.encode()) for name, value in fields.items()]
        raw += self._ask.assignment.headers()
        self._is_ended = True
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body, "more_body": False})
