"""The event loop of a run: uvloop where there is one, which costs a third of asyncio's own a chunk."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_loop(main: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run` on the fastest loop that this platform has."""
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.run(main)
    return uvloop.run(main)


@contextmanager
def no_collection() -> Iterator[None]:
    """Hold garbage collection off: a full one stops every stream at once, and would stand in its times."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
