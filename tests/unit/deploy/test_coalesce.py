"""The first piece at once, later ones joined, nothing lost, nothing read on after the reader has left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.errors import InputError
from deploy.ray.coalesce import coalesced
from deploy.ray.config import RayConfig, check
from server.config import ServerConfig


async def pieces(*steps: tuple[float, bytes]) -> AsyncIterator[bytes]:
    for delay_s, piece in steps:
        await asyncio.sleep(delay_s)
        yield piece


async def collect(source: AsyncIterator[bytes], interval_s: float = 0.01) -> list[bytes]:
    return [piece async for piece in coalesced(source, interval_s)]


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.004]), st.binary(min_size=1, max_size=3)), max_size=12)
)
def test_nothing_is_lost_and_the_first_stays_alone(steps: list[tuple[float, bytes]]) -> None:
    got = asyncio.run(collect(pieces(*steps), 0.002))
    assert b"".join(got) == b"".join(piece for _, piece in steps)
    assert got[:1] == [piece for _, piece in steps[:1]]


async def test_pieces_that_come_together_are_joined() -> None:
    got = await collect(pieces((0, b"a"), *((0.0, bytes([each])) for each in range(100))), 0.05)
    assert len(got) == 2


async def test_the_first_does_not_wait_for_the_second() -> None:
    source = coalesced(pieces((0, b"a"), (60, b"b")), 0.01)
    started = time.perf_counter()
    assert await anext(source) == b"a"
    assert time.perf_counter() - started < 30
    await source.aclose()  # type: ignore[attr-defined]


async def test_a_failure_comes_after_what_came_before_it() -> None:
    async def failing() -> AsyncIterator[bytes]:
        for piece in (b"a", b"b", b"c"):
            yield piece
        raise ConnectionResetError("gone")

    got = []

    async def read() -> None:
        async for piece in coalesced(failing(), 0.01):
            got.append(piece)

    with pytest.raises(ConnectionResetError):
        await read()
    assert b"".join(got) == b"abc"


async def test_leaving_closes_the_source() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                await asyncio.sleep(0)
                yield b"x"
        finally:
            closed.set()

    source = coalesced(endless(), 0.001)
    await anext(source)
    await anext(source)
    await source.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(closed.wait(), 30)


def test_configurations_that_do_not_fit() -> None:
    server = ServerConfig.model_validate({"variants": [{"name": "a", "directory": "a"}], "state_dir": "s"})
    spread = RayConfig.model_validate({"server": "server.yaml", "variants": {"b": {}}})
    with pytest.raises(InputError, match="no such local variant: b; the server has a"):
        check(spread, server)
    with pytest.raises(InputError, match="cannot share one state_dir"):
        check(RayConfig.model_validate({"server": "server.yaml", "gateways": 2}), server)
    check(RayConfig.model_validate({"server": "server.yaml", "variants": {"a": {"replicas": 2}}}), server)
