"""The workers' own metrics on one page, told apart by a `variant` label.

Prometheus wants all samples of a family in one group, so the pages are merged, not concatenated.
Format: https://prometheus.io/docs/instrumenting/exposition_formats (text, 0.0.4).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from weakref import WeakSet

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from server.app.gateway import gateway_of
from server.supervisor.state import State
from server.supervisor.worker import Worker

logger = logging.getLogger(__name__)

router = APIRouter()

TIMEOUT_S = 5.0
# Workers whose last page was empty: said once, not at every scrape.
_silent: WeakSet[Worker] = WeakSet()
_SAMPLE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?( .+)")


@router.get("/metrics/workers")
async def worker_metrics(request: Request) -> Response:
    """Metrics of every worker that is up, under its own names."""
    workers = gateway_of(request).supervisor.workers
    asked = [name for name, worker in workers.items() if worker.state is State.READY]
    pages = await asyncio.gather(*(workers[name].client.metrics(TIMEOUT_S) for name in asked))
    for name, page in zip(asked, pages, strict=True):
        note(workers[name], page)
    merged = merge_pages(dict(zip(asked, pages, strict=True)))
    return Response(merged, media_type=CONTENT_TYPE_LATEST)


def note(worker: Worker, page: str) -> None:
    """Log where a worker's metrics stop being readable, and where they are again."""
    name = worker.variant.name
    if page and worker in _silent:
        _silent.discard(worker)
        logger.info("the worker of %s gives its metrics again", name)
    if not page and worker not in _silent:
        _silent.add(worker)
        logger.warning(
            "the worker of %s gives no metrics (GET /metrics): graphs of its engine stay empty until then",
            name,
        )


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
                group = family if family and name.startswith(family) else name
                samples.setdefault(group, []).append(f'{name}{{variant="{variant}"{rest}}}{value}')
    lines = [line for family in samples for line in (*headers.get(family, {}).values(), *samples[family])]
    return "\n".join([*lines, ""])
