"""The cache's use beside the memory of processes, where the endpoint itself is the engine."""

from __future__ import annotations

from dataclasses import replace

import aiohttp

from eval_client.memory.engine_metrics import parse_cache
from eval_client.memory.page import read_metrics
from eval_client.memory.sources import Reading, Source

EVERY = 5
"""Readings to one of the cache: the engine writes a page of metrics for it."""


async def with_cache(session: aiohttp.ClientSession, endpoint: str, model: str, source: Source) -> Source:
    """The source with every fifth reading telling of the cache too; itself where there is no such metric."""
    if await _share(session, endpoint, model) is None:
        return source
    count = 0

    async def read() -> Reading | None:
        nonlocal count
        reading = await source.read()
        count += 1
        if reading is None or count % EVERY != 1:
            return reading
        return replace(reading, kv_cache_share=await _share(session, endpoint, model))

    return replace(source, read=read)


async def _share(session: aiohttp.ClientSession, endpoint: str, model: str) -> float | None:
    return parse_cache(await read_metrics(session, endpoint), model)
