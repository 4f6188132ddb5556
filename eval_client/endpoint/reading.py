"""A streamed reply on its way in: kept with its times while it comes, parsed when nothing is waited for.

Parsing costs about as much as all else that the client does for a chunk, and the next stream's chunk would
wait for it. Only what is no ordinary chunk (an error, a keep-alive, the end) is looked at when it comes.
"""

from __future__ import annotations

from collections.abc import Mapping

from eval_client.endpoint.chat import ChatReply
from eval_client.endpoint.replies import StreamedReply, error_message
from eval_client.endpoint.sse import EventParser
from eval_client.errors import RequestError

_TRANSIENT_STATUS = {408, 409, 425, 429}


class StreamReading:
    """Takes the bytes of one reply; `finish` gives what they say. `start` is when the request was sent."""

    def __init__(self, sent_at_s: float, start: float) -> None:
        self._start = start
        self._refused: tuple[int, Mapping[str, str]] | None = None
        self._refusal: list[bytes] = []
        self._waiting: list[tuple[bytes, float]] = []
        self._events = EventParser()
        self._reply = StreamedReply(sent_at_s)
        self._end_s = 0.0

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Status and headers, names in lower case."""
        if status != 200 or not headers.get("content-type", "").startswith("text/event-stream"):
            self._refused = status, headers

    def take(self, data: bytes, at: float) -> bool:
        """Keep bytes read at `at`; true once the reply is whole. Raises RequestError."""
        self._end_s = at - self._start
        if self._refused is not None:
            self._refusal.append(data)
            return False
        self._waiting.append((data, self._end_s))
        if b'"choices"' not in data or b"[DONE]" in data:
            self.parse()
        return self._reply.is_done

    def parse(self) -> None:
        """Parse what is waiting. Raises RequestError for what no endpoint should send."""
        waiting, self._waiting = self._waiting, []
        for data, at_s in waiting:
            if self._reply.is_done:
                return
            for event in self._events.feed(data):
                self._reply.take(event, at_s)

    def finish(self) -> ChatReply:
        """The reply, once all has come. Raises RequestError where it is none or not whole."""
        if self._refused is not None:
            raise self._no_stream(*self._refused)
        self.parse()
        if self._events.is_inside_event and not self._reply.is_done:
            raise RequestError("closed", "the stream ended within an event")
        return self._reply.finish(self._end_s)

    def _no_stream(self, status: int, headers: Mapping[str, str]) -> RequestError:
        content = b"".join(self._refusal)
        if status != 200:
            return refusal(status, headers, content)
        if b'"error"' in content:
            return RequestError("error_body", error_message(content))
        kind, shown = headers.get("content-type", "").partition(";")[0], content[:80].decode(errors="replace")
        return RequestError("garbage", f"asked for a stream, got {kind}: {shown!r}")


def refusal(status: int, headers: Mapping[str, str], content: bytes) -> RequestError:
    """The error of a reply whose status is not 200; header names in lower case, or of any case alike."""
    message, wait_s = f"HTTP {status}: {error_message(content)}", _retry_after_s(headers)
    if status >= 500 or status < 400:
        return RequestError("http_5xx", message, retry_after_s=wait_s)
    is_transient = status in _TRANSIENT_STATUS
    return RequestError("http_4xx", message, is_transient=is_transient, retry_after_s=wait_s)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header; its date form is rare here and passed over."""
    value = headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None
