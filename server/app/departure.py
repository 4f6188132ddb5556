"""Who wants to know that a client left: an ASGI extension of our own, and what stands in for it elsewhere.

ASGI tells it to whoever waits for the next message, so each answer would need a second task that only waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import Receive, Scope

DEPARTURE = "bitloom.departure"


class Departure:
    """The end of one connection from a client."""

    def __init__(self) -> None:
        self.has_happened = False
        self._listeners: set[Callable[[], None]] = set()

    def add(self, listener: Callable[[], None]) -> None:
        """Have `listener` called at the end, at once where that is over."""
        if self.has_happened:
            listener()
        else:
            self._listeners.add(listener)

    def discard(self, listener: Callable[[], None]) -> None:
        """Do not call it any more."""
        self._listeners.discard(listener)

    def tell(self) -> None:
        """The connection ended."""
        self.has_happened = True
        listeners, self._listeners = self._listeners, set()
        for listener in listeners:
            listener()


@contextmanager
def watched(scope: Scope, receive: Receive, gone: Callable[[], None]) -> Iterator[None]:
    """Have `gone` called when the client leaves within the block. Its request must have been read."""
    departure = (scope.get("extensions") or {}).get(DEPARTURE)
    if isinstance(departure, Departure):
        departure.add(gone)
        try:
            yield
        finally:
            departure.discard(gone)
        return
    waiting = asyncio.create_task(_disconnected(receive))
    waiting.add_done_callback(lambda task: None if task.cancelled() else gone())
    try:
        yield
    finally:
        waiting.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
