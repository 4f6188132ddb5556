"""Shadow traffic: copies of answered requests for another variant, whose answers are compared and dropped.

Copies never delay, displace or fail a request: they start after the answer ended, there are at most so many
at once, and one that finds no place, no worker or too long an answer is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from server.app.admission import Admission
from server.app.answer import Answer
from server.app.answer_text import answer_text, streamed_text
from server.errors import RequestError, WorkerLinkError, WorkerOrderRefused
from server.experiments.assignment import Assignment, unit_point
from server.experiments.config import RouteConfig, ShadowConfig
from server.experiments.outcome import Outcome
from server.metrics import Metrics
from server.supervisor.worker import Worker

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 1 << 20
MakeCopy = Callable[[str], Awaitable[bytes]]


@dataclass(slots=True)
class ShadowCount:
    """Copies of one route since the gateway started; `agreed` of `sent` equal the answer that was given."""

    sent: int = 0
    agreed: int = 0
    dropped: int = 0
    failed: int = 0


class Shadows:
    """Sends copies. Built and closed in the event loop; `workers` is looked up when a copy starts."""

    def __init__(self, workers: Mapping[str, Worker], admission: Admission, metrics: Metrics) -> None:
        self._workers = workers
        self._admission = admission
        self._metrics = metrics
        self._routes: dict[str, RouteConfig] = {}
        self._running: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts: dict[tuple[str, str], ShadowCount] = {}

    def begin(self, routes: tuple[RouteConfig, ...]) -> None:
        """Shadow these routes from the next request on."""
        self._routes = {route.name: route for route in routes if route.shadow is not None}
        for outcome in ("sent", "dropped", "failed") if self._routes else ():
            self._metrics.shadow_requests.labels(outcome).inc(0)

    def watch(
        self, assignment: Assignment, request_id: str, path: str, make_copy: MakeCopy | None
    ) -> ShadowCopy | None:
        """What will copy a request when it is answered, None where it is not to be copied."""
        route = self._routes.get(assignment.route)
        if route is None or route.shadow is None or make_copy is None:
            return None
        shadow = route.shadow
        if (
            assignment.variant == shadow.variant
            or unit_point("shadow", route.name, request_id) >= shadow.share
        ):
            return None
        return ShadowCopy(self, route.name, shadow, path, make_copy)

    def start(self, copy: ShadowCopy) -> None:
        """Send a copy in the background, or drop it."""
        worker = self._workers.get(copy.shadow.variant)
        is_full = self._running[copy.route] >= copy.shadow.outstanding
        is_up = worker is not None and worker.is_answering and not worker.circuit.is_open
        if is_full or worker is None or not is_up or copy.is_too_long:
            self.count(copy, "dropped")
            return
        self._running[copy.route] += 1
        task = asyncio.create_task(self._send(copy, worker), name="shadow")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up the copies that are under way."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, copy: ShadowCopy, worker: Worker) -> None:
        try:
            with self._admission.enter(copy.shadow.variant), worker.gate.arriving():
                async with asyncio.timeout(copy.shadow.timeout_s):
                    agrees = await _answer_of(copy, worker) == copy.text()
        except RequestError:
            self.count(copy, "dropped")
        except (WorkerLinkError, TimeoutError, ValueError, OSError) as fault:
            logger.info(
                "route %s: a shadow request to %s failed (%r)", copy.route, copy.shadow.variant, fault
            )
            self.count(copy, "failed")
        else:
            self.count(copy, "sent", agrees=agrees)
        finally:
            self._running[copy.route] -= 1

    def count(self, copy: ShadowCopy, outcome: str, *, agrees: bool = False) -> None:
        """Take in what became of a copy."""
        labels = (copy.route, copy.shadow.variant)
        count = self.counts.setdefault(labels, ShadowCount())
        setattr(count, outcome, getattr(count, outcome) + 1)
        count.agreed += agrees
        self._metrics.shadow_requests.labels(outcome).inc()
        if count.sent:
            self._metrics.shadow_agreement.labels(*labels).set(count.agreed / count.sent)


class ShadowCopy:
    """A request that may be copied: keeps its answer as it passes."""

    def __init__(
        self, shadows: Shadows, route: str, shadow: ShadowConfig, path: str, make_copy: MakeCopy
    ) -> None:
        self._shadows = shadows
        self.route = route
        self.shadow = shadow
        self.path = path
        self.make_body = make_copy
        self._kept: list[bytes] = []
        self._bytes = 0
        self._is_stream = False

    @property
    def is_too_long(self) -> bool:
        """Whether the answer is over what is kept for comparing."""
        return self._bytes > MAX_ANSWER_BYTES

    def passed(self, data: bytes) -> None:
        """Bytes of the answer went to the client."""
        self._bytes += len(data)
        if self.is_too_long:
            self._kept.clear()
        else:
            self._kept.append(data)

    def end(self, outcome: Outcome) -> None:
        """The request ended: copy it where its client got a whole answer."""
        self._is_stream = outcome.is_stream
        if outcome.is_complete:
            self._shadows.start(self)

    def text(self) -> str:
        """Text of the answer that the client got."""
        data = b"".join(self._kept)
        return streamed_text(data) if self._is_stream else answer_text(Answer.model_validate_json(data))


async def _answer_of(copy: ShadowCopy, worker: Worker) -> str:
    body = await copy.make_body(copy.shadow.variant)
    # An id of its own: engines fail when two requests have the same one.
    async with (
        worker.gate.passing(copy.route),
        worker.client.post(copy.path, body, uuid.uuid4().hex) as answer,
    ):
        if answer.status != 200:
            raise WorkerOrderRefused(f"status {answer.status}")
        return answer_text(Answer.model_validate_json(await answer.body(MAX_ANSWER_BYTES + 1)))
