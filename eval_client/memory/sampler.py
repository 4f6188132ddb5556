"""Samples memory while a run goes on, and sums it up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from bitloom.errors import InputError
from bitloom.memory import LoadedMemory
from bitloom.results import MemorySample, MemoryUse, WeightMemory
from eval_client.memory.cache import with_cache
from eval_client.memory.gpu import GpuMemory, open_gpus
from eval_client.memory.loaded import with_loaded
from eval_client.memory.sources import Source, gateway_source, listening_pid, process_source

PERIOD_S = 0.2


async def find_source(
    session: aiohttp.ClientSession, endpoint: str, model: str, pid: int | None
) -> Source | None:
    """The given process, else the gateway's figure, else the tree of who listens on this machine, or None.

    Raises InputError where there is no process `pid`.
    """
    source = await _find(session, endpoint, model, pid)
    return None if source is None else await with_loaded(session, endpoint, model, source)


async def _find(session: aiohttp.ClientSession, endpoint: str, model: str, pid: int | None) -> Source | None:
    if pid is not None:
        if (given := process_source(pid)) is None:
            raise InputError(f"pid {pid}: no such process; give the server's, or none to look for it")
        return await with_cache(session, endpoint, model, given)
    if source := await gateway_source(session, endpoint, model):
        return source
    found = await asyncio.to_thread(listening_pid, endpoint)
    local = process_source(found) if found is not None else None
    return None if local is None else await with_cache(session, endpoint, model, local)


@asynccontextmanager
async def sampling(source: Source | None, path: Path) -> AsyncIterator[list[MemorySample]]:
    """Sample while the block runs; the list grows meanwhile and is appended to `path` afterwards."""
    samples: list[MemorySample] = []
    if source is None:
        yield samples
        return
    task = asyncio.create_task(_sample(source, open_gpus(), samples))
    try:
        yield samples
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(sample.model_dump_json() + "\n" for sample in samples)


async def _sample(source: Source, gpus: GpuMemory | None, samples: list[MemorySample]) -> None:
    while True:
        at_s = time.time()
        if reading := await source.read():
            samples.append(
                MemorySample(
                    at_s=at_s,
                    resident_bytes=reading.resident_bytes,
                    proportional_bytes=reading.proportional_bytes,
                    gpu_bytes=gpus.used_bytes() if gpus else None,
                    kv_cache_share=reading.kv_cache_share,
                )
            )
        await asyncio.sleep(max(0.0, at_s + PERIOD_S - time.time()))


def summarise(source: Source | None, samples: Sequence[MemorySample]) -> MemoryUse | None:
    """Peak and mean over the samples; None where nothing was measured."""
    if source is None or not samples:
        return None
    resident = [sample.resident_bytes for sample in samples]
    gpu = [sample.gpu_bytes for sample in samples if sample.gpu_bytes is not None]
    proportional = [each.proportional_bytes for each in samples if each.proportional_bytes is not None]
    cache = [sample.kv_cache_share for sample in samples if sample.kv_cache_share is not None]
    loaded = source.loaded or LoadedMemory({})
    return MemoryUse(
        source=source.name,
        samples=len(samples),
        peak_resident_bytes=max(resident),
        mean_resident_bytes=sum(resident) / len(resident),
        peak_gpu_bytes=max(gpu, default=None),
        mean_gpu_bytes=_mean(gpu),
        peak_proportional_bytes=max(proportional, default=None),
        mean_proportional_bytes=_mean(proportional),
        peak_kv_cache_share=max(cache, default=None),
        mean_kv_cache_share=_mean(cache),
        weights={
            name: WeightMemory(loaded_bytes=count, predicted_bytes=loaded.predicted.get(name))
            for name, count in loaded.weights.items()
        },
        loaded_resident_bytes=loaded.resident_bytes,
        loaded_peak_bytes=loaded.peak_bytes,
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
