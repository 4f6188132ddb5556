"""That a client left is told once, by the connection or, under another server, by ASGI."""

from __future__ import annotations

import asyncio
from typing import Any

from server.app.departure import DEPARTURE, Departure, watched


async def receive_a_disconnect() -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"type": "http.disconnect"}


async def test_a_connection_tells_those_who_listen_then() -> None:
    told: list[str] = []
    departure = Departure()
    scope = {"extensions": {DEPARTURE: departure}}
    with watched(scope, receive_a_disconnect, lambda: told.append("early")):
        await asyncio.sleep(0.01)
    with watched(scope, receive_a_disconnect, lambda: told.append("inside")):
        departure.tell()
    assert told == ["inside"]
    with watched(scope, receive_a_disconnect, lambda: told.append("late")):
        pass
    assert told == ["inside", "late"]


async def test_under_another_server_asgi_tells() -> None:
    told: list[str] = []
    with watched({}, receive_a_disconnect, lambda: told.append("gone")):
        await asyncio.sleep(0.01)
    assert told == ["gone"]
    with watched({}, receive_a_disconnect, lambda: told.append("left before")):
        pass
    await asyncio.sleep(0.01)
    assert told == ["gone"]
