"""Answers take turns on one thread, and one that is given up stops."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from server.workers.command import WorkerOptions
from server.workers.transformers_worker.engine import Engine
from server.workers.transformers_worker.loading import LoadedModel
from server.workers.transformers_worker.protocol import ChatRequest


def request(**fields: Any) -> ChatRequest:
    messages = [{"role": "user", "content": "hi"}]
    return ChatRequest.model_validate(
        {"model": "m", "messages": messages, "temperature": 0, "ignore_eos": True, **fields}
    )


async def test_a_short_answer_does_not_wait_for_a_long_one(loaded: LoadedModel) -> None:
    engine = Engine(loaded, WorkerOptions(max_num_seqs=2))
    order: list[str] = []

    async def collect(name: str, count: int) -> None:
        async with engine.answer(request(max_tokens=count)) as answer:
            async for _ in answer.pieces():
                order.append(name)

    await asyncio.gather(collect("long", 40), collect("short", 4))
    engine.close()
    assert order.index("short") < 10
    assert order[-1] == "long"
    assert (order.count("long"), order.count("short")) == (40, 4)


async def test_an_answer_that_is_given_up_frees_its_place(loaded: LoadedModel) -> None:
    engine = Engine(loaded, WorkerOptions(max_num_seqs=1))
    async with engine.answer(request()) as answer, aclosing(answer.pieces()) as pieces:
        await anext(pieces)
    assert not answer.is_finished
    assert answer.completion_length == 1
    async with asyncio.timeout(30), engine.answer(request(max_tokens=2)) as second:
        assert len([piece async for piece in second.pieces()]) == 2
    engine.close()


async def test_a_cancelled_answer_frees_its_place(loaded: LoadedModel) -> None:
    engine = Engine(loaded, WorkerOptions(max_num_seqs=1))
    seen = asyncio.Event()

    async def endless() -> None:
        async with engine.answer(request()) as answer:
            async for _ in answer.pieces():
                seen.set()

    task = asyncio.create_task(endless())
    await seen.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(30), engine.answer(request(max_tokens=1)) as answer:
        assert [piece.finish_reason async for piece in answer.pieces()] == ["length"]
    engine.close()
