"""The gateway starts without the engines, and soon."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import asyncio, resource, sys
from server.cli import import_serve
import_serve()
from server.app import create_app
from server.config import ServerConfig

async def start():
    app = create_app(ServerConfig(variants=[{"name": "a", "url": "unix:/run/none.sock"}]))
    async with app.router.lifespan_context(app):
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

seconds = asyncio.run(start())
heavy = {"torch", "vllm", "transformers", "torchvision", "compressed_tensors", "quantize", "eval_client"}
loaded = heavy & {name.partition(".")[0] for name in sys.modules}
print(",".join(sorted(loaded)), seconds)
"""
LIMIT_S = 1.5
TRIES = 4


def started() -> tuple[str, float]:
    """Engines that a started gateway has imported, and the seconds of processor time until it serves."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    loaded, _, seconds = done.stdout.strip("\n").rpartition(" ")
    return loaded, float(seconds)


def test_no_engine_is_imported() -> None:
    loaded, _ = started()
    assert loaded == ""


@pytest.mark.slow
def test_the_start_is_short() -> None:
    """Processor time, not the clock, and the best of a few: other work on the machine can only add to it.

    A busy sibling thread of the core adds two fifths for as long as it is busy, so this is no test for every
    run.
    """
    seconds = started()[1]
    for _ in range(TRIES - 1):
        if seconds < LIMIT_S:
            break
        seconds = min(seconds, started()[1])
    assert seconds < LIMIT_S
