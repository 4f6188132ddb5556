"""What a model took when it was loaded, beside the memory of processes: by the endpoint's own metrics."""

from __future__ import annotations

from dataclasses import replace

import aiohttp

from bitloom.memory import LoadedMemory, labelled, parse_gateway, parse_worker
from eval_client.memory.page import read_metrics
from eval_client.memory.sources import Source


async def with_loaded(session: aiohttp.ClientSession, endpoint: str, model: str, source: Source) -> Source:
    """The source with what the endpoint says of its model; itself where it says nothing."""
    found = parse_loaded(await read_metrics(session, endpoint), model)
    return source if found is None else replace(source, loaded=found)


def parse_loaded(metrics: str, model: str) -> LoadedMemory | None:
    """What a gateway says of the model's variant, or a worker of its model; None where neither is found.

    A route with one variant is that variant.
    """
    names = {labels.get("variant", "") for labels in labelled(metrics, "bitloom_weight_bytes")}
    only = names.pop() if len(names) == 1 else model
    return parse_gateway(metrics, model) or parse_gateway(metrics, only) or parse_worker(metrics)
