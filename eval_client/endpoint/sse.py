"""Server-sent events, as the WHATWG specification defines them, from bytes in any division.

Only `data` matters to the chat protocol; comments (keep-alives), `event`, `id` and `retry` are passed over.
"""

from __future__ import annotations

import re

from eval_client.errors import RequestError

MAX_EVENT_BYTES = 16 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventParser:
    """Feed it bytes as they come; it returns the data of every event that they complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    @property
    def is_inside_event(self) -> bool:
        """Whether bytes of an unfinished event are held: true at the end of a torn stream."""
        return bool(self._rest.strip()) or bool(self._data)

    def feed(self, chunk: bytes) -> list[str]:
        """The data of the events completed by `chunk`. Raises RequestError for bytes that are no UTF-8."""
        if (plain := self._plain(chunk)) is not None:
            return plain
        scanned = max(0, len(self._rest) - 1)
        buffer = self._rest + chunk
        events, start = [], 0
        for end in _LINE_END.finditer(buffer, scanned):
            if end.group() == b"\r" and end.end() == len(buffer):
                break  # may be the first half of a CR LF
            if line := buffer[start : end.start()]:
                self._take(line)
            elif self._data:
                events.append(self._finish())
            start = end.end()
        self._rest = buffer[start:]
        if len(self._rest) > MAX_EVENT_BYTES:
            raise RequestError("garbage", f"a line of more than {MAX_EVENT_BYTES} bytes", is_transient=False)
        return events

    def _plain(self, chunk: bytes) -> list[str] | None:
        """The events of a chunk of whole `data` lines, as nearly every one is; None where it is more."""
        if self._rest or self._data or b"\r" in chunk or not chunk.endswith(b"\n\n"):
            return None
        blocks = chunk[:-2].split(b"\n\n")
        if not all(block.startswith(b"data: ") and b"\n" not in block for block in blocks):
            return None
        return [_decoded(block[6:]) for block in blocks]

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name.removeprefix(b"\xef\xbb\xbf") == b"data":
            self._data.append(value.removeprefix(b" "))

    def _finish(self) -> str:
        data, self._data = b"\n".join(self._data), []
        return _decoded(data)


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise RequestError("garbage", f"an event that is not UTF-8: {data[:40]!r}") from exc
