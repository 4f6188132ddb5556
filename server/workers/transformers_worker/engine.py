"""Many answers at once on one thread: their forward passes take turns.

Each step of each answer is one task of a single-thread executor, whose queue is first come, first
served; so concurrent answers advance a token each in turn, and one that is given up costs at most the
step it is in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from server.errors import BadRequest
from server.workers.command import WorkerOptions
from server.workers.transformers_worker.decoding import Decoding, build_prompt
from server.workers.transformers_worker.images import decode_image
from server.workers.transformers_worker.loading import LoadedModel
from server.workers.transformers_worker.protocol import ChatRequest
from server.workers.transformers_worker.sampling import Sampling, Token
from server.workers.transformers_worker.text import TextStream

FinishReason = Literal["stop", "length"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """What one step adds to an answer: a token, the text that became final, and why it ended, if it did."""

    token: Token
    text: str
    finish_reason: FinishReason | None


class Answer:
    """One answer in the making."""

    def __init__(self, engine: Engine, request: ChatRequest, decoding: Decoding, prompt_length: int) -> None:
        self._engine = engine
        self._request = request
        self._decoding = decoding
        self._text = TextStream(engine.loaded.tokenizer, request.stops)
        room = engine.loaded.context - prompt_length
        self._limit = min(request.max_completion_tokens or request.max_tokens or room, room)
        self.prompt_length = prompt_length
        self.completion_length = 0
        self.is_finished = False

    @property
    def prompt_tokens(self) -> tuple[Token | None, ...] | None:
        """The prompt's log-probabilities, where the request wants them, once the first piece is there."""
        return self._decoding.prompt_tokens

    async def pieces(self) -> AsyncGenerator[Piece]:
        """The answer, token by token; the last piece has a finish reason."""
        reason: FinishReason | None = None
        while reason is None:
            token = await self._engine.run(self._decoding.step)
            self.completion_length += 1
            is_end = token.id in self._engine.loaded.eos_ids and not self._request.ignore_eos
            text = "" if is_end else self._text.push(token.id)
            if is_end or self._text.is_stopped:
                reason = "stop"
            elif self.completion_length == self._limit:
                reason = "length"
            if reason is not None:
                text += self._text.finish()
                self.is_finished = True
            yield Piece(token, text, reason)


class Engine:
    """A model that answers up to `options.max_num_seqs` requests at a time; further ones wait."""

    def __init__(self, loaded: LoadedModel, options: WorkerOptions) -> None:
        self.loaded = loaded
        self._options = options
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._places = asyncio.Semaphore(options.max_num_seqs)

    async def run(self, step: Callable[[], T]) -> T:
        """Run `step` on the engine's thread when its turn comes."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, step)

    def place(self) -> AbstractAsyncContextManager[None]:
        """One of the places of requests that are worked on; waits until one is free."""
        return self._places

    def check_images(self, count: int, param: str) -> None:
        """Raise BadRequest for more images than a request may have."""
        if count > self._options.max_images:
            raise BadRequest(
                f"{param}: {count} images; this worker takes {self._options.max_images}",
                code="too_many_images",
                param=param,
            )

    def answer(self, request: ChatRequest) -> AbstractAsyncContextManager[Answer]:
        """An answer to iterate over inside the context; BadRequest where the prompt cannot be used."""
        return self._answer(request)

    @asynccontextmanager
    async def _answer(self, request: ChatRequest) -> AsyncIterator[Answer]:
        urls = list(request.image_urls())
        self.check_images(len(urls), "messages")
        async with self.place():
            prompt = await self.run(
                lambda: build_prompt(self.loaded, request, [decode_image(url) for url in urls])
            )
            decoding = Decoding(self.loaded, prompt, sampling_of(request), request.prompt_logprobs)
            yield Answer(self, request, decoding, len(prompt.token_ids))

    def close(self) -> None:
        """Stop the thread after the step it is in."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def sampling_of(request: ChatRequest) -> Sampling:
    """The request's sampling, with OpenAI's defaults."""
    return Sampling(
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        top_k=max(0, request.top_k or 0),
        seed=request.seed,
        top_logprobs=(request.top_logprobs or 0) if request.logprobs else None,
    )
