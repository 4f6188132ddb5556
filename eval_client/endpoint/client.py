"""The HTTP side of a run: requests over pooled connections, every failure named, every chunk timed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import aiohttp

from eval_client.endpoint.chat import ChatReply, ChatRequest
from eval_client.endpoint.pooling import EmbeddingRequest, MatchRequest, parse_pooling
from eval_client.endpoint.replies import StreamedReply, error_message, parse_reply
from eval_client.endpoint.sse import EventParser
from eval_client.errors import RequestError

MAX_REPLY_BYTES = 64 << 20
_IDLE_CONNECTION_S = 4.0  # below uvicorn's 5 s, so that no request meets a connection that is being closed
_CONNECT_S = 5.0
_JSON = {"Content-Type": "application/json"}
_TRANSIENT_STATUS = {408, 409, 425, 429}


@asynccontextmanager
async def open_session(concurrency: int, key: str | None) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with a connection for every request at a time, so that none waits inside the client."""
    connector = aiohttp.TCPConnector(limit=concurrency + 4, keepalive_timeout=_IDLE_CONNECTION_S)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield session


class ChatClient:
    """Sends chat requests to one endpoint.

    `timeout_s` bounds a whole request, `stall_s` the wait for the next byte of a stream.
    """

    def __init__(
        self, session: aiohttp.ClientSession, endpoint: str, *, timeout_s: float, stall_s: float
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._stream_limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=stall_s)
        self._whole_limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)

    async def stream(self, request: ChatRequest) -> ChatReply:
        """The reply to a request, streamed: its chunks are timed. Raises RequestError."""
        body = request.body(is_stream=True)
        sent_at_s, start = time.time(), time.perf_counter()
        async with self._post(request.path, body, self._stream_limits) as response:
            if not response.content_type.startswith("text/event-stream"):
                raise _not_a_stream(response.content_type, await _read(response))
            parser, reply = EventParser(), StreamedReply(sent_at_s)
            async for chunk in response.content.iter_any():
                at_s = time.perf_counter() - start
                for event in parser.feed(chunk):
                    reply.take(event, at_s)
                if reply.is_done:
                    break
            end_s = time.perf_counter() - start
            if parser.is_inside_event and not reply.is_done:
                raise RequestError("closed", "the stream ended within an event")
            await _drain(response)
            return reply.finish(end_s)

    async def complete(self, request: ChatRequest) -> ChatReply:
        """The reply to a request, in one piece: with log-probabilities, without chunk times."""
        body = request.body(is_stream=False)
        sent_at_s, start = time.time(), time.perf_counter()
        async with self._post(request.path, body, self._whole_limits) as response:
            content = await _read(response)
            return parse_reply(content, sent_at_s, time.perf_counter() - start)

    async def pool(self, request: MatchRequest | EmbeddingRequest) -> ChatReply:
        """The score or the vectors that a model gives instead of an answer. Raises RequestError."""
        body = request.body(is_stream=False)
        sent_at_s, start = time.time(), time.perf_counter()
        async with self._post(request.path, body, self._whole_limits) as response:
            content = await _read(response)
            return parse_pooling(content, sent_at_s, time.perf_counter() - start)

    @asynccontextmanager
    async def _post(
        self, path: str, body: bytes, limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self._endpoint}/{path}"
        with translated():
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.post(url, data=body, headers=_JSON, timeout=limits) as response,
            ):
                if response.status != 200:
                    raise _refusal(response, await _read(response))
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


def _refusal(response: aiohttp.ClientResponse, content: bytes) -> RequestError:
    """The error of a reply whose status is not 200."""
    message = f"HTTP {response.status}: {error_message(content)}"
    if response.status >= 500 or response.status < 400:
        return RequestError("http_5xx", message, retry_after_s=_retry_after_s(response))
    is_transient = response.status in _TRANSIENT_STATUS
    return RequestError(
        "http_4xx", message, is_transient=is_transient, retry_after_s=_retry_after_s(response)
    )


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """Seconds of a Retry-After header; its date form is rare here and passed over."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None


def _not_a_stream(content_type: str, content: bytes) -> RequestError:
    """A stream was asked for and a body came: the error object in it, or garbage."""
    if b'"error"' in content:
        return RequestError("error_body", error_message(content))
    shown = content[:80].decode(errors="replace")
    return RequestError("garbage", f"asked for a stream, got {content_type}: {shown!r}")


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read what follows [DONE] (the end of the body), so that the connection can be used again."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(0.2):
            await response.content.read()


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
