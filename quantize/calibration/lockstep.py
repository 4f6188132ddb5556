"""Many forward passes that wait for one another at every unit (block) of a model.

Calibrating block by block needs all samples at one block before any goes on to the next. What lies
between the blocks (embeddings, merging image features into the text, masks, rotary tables) differs from model
to model, so it is not traced or re-written here: each batch runs the model's own forward in a thread
of its own, and the units' forwards are replaced by a meeting point. A thread that arrives there hands
over its arguments and sleeps; once no thread can go on, the walk computes the unit that comes first in
the model for all batches that wait at it, and hands each its output. One thread runs at a time: threads
serve as coroutines, not for speed. So any model works whose forward calls its units, and memory holds
one unit's weights and one activation a batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Call:
    """One batch waiting at a unit: its index, and the arguments of the unit's forward."""

    batch: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


Due = tuple[int, list[Call], Callable[[Call, object], None]]
"""A unit that has come due: its index, the calls that wait at it, and how to answer them."""


class Stop(BaseException):
    """Ends a forward pass that nobody needs any further; models must not catch it."""


@dataclass(slots=True)
class _Thread:
    run: Callable[[], object]
    resume: SimpleQueue[Any]
    unit: int | None = None
    call: Call | None = None
    error: BaseException | None = None


class Lockstep:
    """Walks `runs`, functions that each call the model, from unit to unit. Use `units()` once."""

    def __init__(self, modules: Sequence[nn.Module], runs: Sequence[Callable[[], object]]) -> None:
        self._modules = list(modules)
        self._threads = [_Thread(run, SimpleQueue()) for run in runs]
        self._yielded: SimpleQueue[int] = SimpleQueue()
        self._current = threading.local()

    def units(self) -> Generator[Due, None, None]:
        """Each unit as it comes due: its index, the calls that wait, and `answer(call, output)`.

        Answer each call once before asking for the next unit. Closing the iterator ends the passes.
        Raises what a pass raised.
        """
        with self._intercepted():
            try:
                for index, thread in enumerate(self._threads):
                    threading.Thread(target=self._run, args=(index, thread), daemon=True).start()
                    self._wait_for(index)
                while waiting := [thread.unit for thread in self._threads if thread.unit is not None]:
                    unit = min(waiting)
                    calls = [t.call for t in self._threads if t.unit == unit and t.call is not None]
                    yield unit, calls, self._answer
            finally:
                self._stop()

    def _answer(self, call: Call, output: object) -> None:
        thread = self._threads[call.batch]
        thread.unit = thread.call = None
        thread.resume.put(output)
        self._wait_for(call.batch)

    def _wait_for(self, index: int) -> None:
        """Let a thread run until it waits at a unit or ends."""
        self._yielded.get()
        error = self._threads[index].error
        if error is not None:
            raise error

    def _stop(self) -> None:
        for thread in self._threads:
            if thread.unit is not None:
                thread.unit = thread.call = None
                thread.resume.put(Stop())
                self._yielded.get()

    def _run(self, index: int, thread: _Thread) -> None:
        self._current.index = index
        try:
            with torch.no_grad():
                thread.run()
        except Stop:
            pass
        except BaseException as exc:  # noqa: BLE001 - raised again in the walk's own thread
            thread.error = exc
        self._yielded.put(index)

    def _meet(self, unit: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        index: int = self._current.index
        thread = self._threads[index]
        thread.call, thread.unit = Call(index, args, kwargs), unit
        self._yielded.put(index)
        output = thread.resume.get()
        if isinstance(output, Stop):
            raise output
        return output

    @contextmanager
    def _intercepted(self) -> Iterator[None]:
        """Put the meeting point in place of each unit's forward."""

        def meeting(unit: int) -> Callable[..., object]:
            return lambda *args, **kwargs: self._meet(unit, args, kwargs)

        for unit, module in enumerate(self._modules):
            module.__dict__["forward"] = meeting(unit)
        try:
            yield
        finally:
            for module in self._modules:
                module.__dict__.pop("forward", None)
