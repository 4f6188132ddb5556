"""Answer for a variant that was evicted: load it first, while its requests wait within its limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bitloom.errors import InputError, WorkerError
from server.app.gateway import Gateway
from server.app.tally import Tally
from server.app.worker_faults import unavailable
from server.errors import RequestError, WorkerTimeout
from server.keys import KeyRecord

logger = logging.getLogger(__name__)

# What keeps a variant out, others' requests, passes soon.
SOON_S = 5


class WakingAnswer(Response):
    """An ASGI response that waits until its variant is loaded, then does what `answer` gives."""

    def __init__(
        self,
        gateway: Gateway,
        variant: str,
        key: KeyRecord | None,
        tally: Tally,
        answer: Callable[[], Response],
    ) -> None:
        self._gateway = gateway
        self._variant = variant
        self._key = key
        self._tally = tally
        self._answer = answer
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises RequestError, before anything is sent, where the variant does not come back."""
        with self._gateway.admission.enter(self._variant, self._key):
            try:
                await self._wake()
            except RequestError as error:
                self._tally.failed(error.status, is_begun=False)
                raise
        # The place in the limit is given back and taken again without a pause between.
        await self._answer()(scope, receive, send)

    async def _wake(self) -> None:
        try:
            async with asyncio.timeout(self._gateway.config.timeouts.first_byte_s):
                await self._gateway.lifecycle.wake(self._variant)
        except TimeoutError as exc:
            raise WorkerTimeout(
                f"variant {self._variant} was not loaded in time; try again", code="worker_timeout"
            ) from exc
        except (InputError, WorkerError) as exc:
            logger.warning("variant %s was evicted and cannot be loaded: %s", self._variant, exc)
            raise unavailable(self._variant, SOON_S) from exc
        worker = self._gateway.supervisor.workers.get(self._variant)
        if worker is None or not worker.is_answering:
            raise unavailable(self._variant, SOON_S)
