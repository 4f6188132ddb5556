"""The HTTP side of a run: requests over pooled connections, every failure named, every chunk timed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp

from eval_client.endpoint.chat import ChatReply, ChatRequest
from eval_client.endpoint.pooling import EmbeddingRequest, MatchRequest, parse_pooling
from eval_client.endpoint.reading import StreamReading, refusal
from eval_client.endpoint.replies import parse_reply
from eval_client.endpoint.wire import CONNECT_S, IDLE_CONNECTION_S, MAX_REPLY_BYTES, Limits, WirePool
from eval_client.errors import RequestError

_JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def open_session(concurrency: int, key: str | None) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with a connection for every request at a time, so that none waits inside the client."""
    connector = aiohttp.TCPConnector(limit=concurrency + 4, keepalive_timeout=IDLE_CONNECTION_S)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield session


@asynccontextmanager
async def open_client(
    session: aiohttp.ClientSession, endpoint: str, *, timeout_s: float, stall_s: float
) -> AsyncIterator[ChatClient]:
    """A client of one endpoint, with the session's key; its own connections are closed with it.

    `timeout_s` bounds a whole request, `stall_s` the wait for the next byte of a stream.
    """
    wire = WirePool(endpoint, {**session.headers, **_JSON})
    try:
        yield ChatClient(session, wire, endpoint, Limits(timeout_s, stall_s))
    finally:
        wire.close()


class ChatClient:
    """Sends chat requests to one endpoint: streams over `wire`, which times them, others over `session`."""

    def __init__(self, session: aiohttp.ClientSession, wire: WirePool, endpoint: str, limits: Limits) -> None:
        self._session = session
        self.wire = wire
        self._endpoint = endpoint
        self._limits = limits
        self._whole_limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)

    async def stream(self, request: ChatRequest) -> ChatReply:
        """The reply to a request, streamed: its chunks are timed. Raises RequestError."""
        body = request.body(is_stream=True)
        reading = StreamReading(time.time(), time.perf_counter())
        try:
            await self.wire.post(request.path, body, reading, self._limits)
        except RequestError:
            reading.parse()  # an answer that is garbage is that first, and cut off only then
            raise
        return reading.finish()

    async def complete(self, request: ChatRequest) -> ChatReply:
        """The reply to a request, in one piece: with log-probabilities, without chunk times."""
        body = request.body(is_stream=False)
        sent_at_s, start = time.time(), time.perf_counter()
        async with self._post(request.path, body) as response:
            content = await _read(response)
            return parse_reply(content, sent_at_s, time.perf_counter() - start)

    async def pool(self, request: MatchRequest | EmbeddingRequest) -> ChatReply:
        """The score or the vectors that a model gives instead of an answer. Raises RequestError."""
        body = request.body(is_stream=False)
        sent_at_s, start = time.time(), time.perf_counter()
        async with self._post(request.path, body) as response:
            content = await _read(response)
            return parse_pooling(content, sent_at_s, time.perf_counter() - start)

    @asynccontextmanager
    async def _post(self, path: str, body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self._endpoint}/{path}"
        with translated():
            async with (
                asyncio.timeout(self._limits.total_s),
                self._session.post(url, data=body, headers=_JSON, timeout=self._whole_limits) as response,
            ):
                if response.status != 200:
                    raise refusal(response.status, response.headers, await _read(response))
                yield response


@contextmanager
def translated() -> Iterator[None]:
    """Turn what aiohttp and the event loop raise into RequestError: the one boundary to them."""
    try:
        yield
    except aiohttp.SocketTimeoutError as exc:
        raise RequestError("stalled", "no byte came within the allowed time") from exc
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
        raise RequestError("refused", f"no connection ({exc})") from exc
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError) as exc:
        raise RequestError("closed", f"the connection was closed half-way ({exc})") from exc
    except TimeoutError as exc:
        raise RequestError("timeout", "the reply took longer than allowed") from exc
    except aiohttp.ClientError as exc:
        raise RequestError("garbage", f"no HTTP reply that can be read ({exc})") from exc


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body, up to a bound that no honest reply reaches."""
    content = await response.content.read(MAX_REPLY_BYTES + 1)
    parts = [content]
    size = len(content)
    while content and size <= MAX_REPLY_BYTES:
        content = await response.content.read(MAX_REPLY_BYTES + 1 - size)
        parts.append(content)
        size += len(content)
    if size > MAX_REPLY_BYTES:
        raise RequestError("garbage", f"a reply of more than {MAX_REPLY_BYTES} bytes", is_transient=False)
    return b"".join(parts)
