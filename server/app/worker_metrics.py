"""The workers' own metrics on one page, told apart by a `variant` label.

Prometheus wants all samples of a family in one group, so the pages are merged, not concatenated.
Format: https://prometheus.io/docs/instrumenting/exposition_formats (text, 0.0.4).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from server.app.gateway import gateway_of
from server.supervisor.state import State

router = APIRouter()

TIMEOUT_S = 5.0
_SAMPLE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?( .+)")


@router.get("/metrics/workers")
async def worker_metrics(request: Request) -> Response:
    """Metrics of every worker that is up, under its own names."""
    workers = gateway_of(request).supervisor.workers
    asked = [name for name, worker in workers.items() if worker.state is State.READY]
    pages = await asyncio.gather(*(workers[name].client.metrics(TIMEOUT_S) for name in asked))
    merged = merge_pages(dict(zip(asked, pages, strict=True)))
    return Response(merged, media_type=CONTENT_TYPE_LATEST)


def merge_pages(pages: Mapping[str, str]) -> str:
    """One page from many by variant; lines that are no metrics are dropped."""
    headers: dict[str, dict[str, str]] = {}
    samples: dict[str, list[str]] = {}
    for variant, page in pages.items():
        family = ""
        for line in page.splitlines():
            words = line.split(" ", 3)
            if len(words) > 2 and words[0] == "#" and words[1] in {"HELP", "TYPE"}:
                family = words[2]
                headers.setdefault(family, {}).setdefault(words[1], line)
            elif (sample := _SAMPLE.fullmatch(line)) is not None:
                name, labels, value = sample[1], sample[2], sample[3]
                rest = f",{labels}" if labels else ""
                samples.setdefault(family or name, []).append(f'{name}{{variant="{variant}"{rest}}}{value}')
    lines = [line for family in samples for line in (*headers.get(family, {}).values(), *samples[family])]
    return "\n".join([*lines, ""])
