"""From tokens to text that never has to be taken back."""

from __future__ import annotations

from typing import Any

INCOMPLETE = "�"


class TextStream:
    """Decodes an answer as its tokens come, and ends it at a stop string, which is left out.

    Text is held back while it may change: the last bytes of an incomplete UTF-8 sequence, and an end
    that may be the beginning of a stop string.
    """

    def __init__(self, tokenizer: Any, stops: tuple[str, ...]) -> None:
        self._tokenizer = tokenizer
        self._stops = stops
        self._ids: list[int] = []
        self._context_start = 0
        self._read = 0
        self._held = ""
        self.is_stopped = False

    def push(self, token_id: int) -> str:
        """Take a token; return the text that is now final (none after a stop string)."""
        if self.is_stopped:
            return ""
        self._ids.append(token_id)
        text = self._undecoded()
        if text.endswith(INCOMPLETE):
            return ""
        self._context_start, self._read = self._read, len(self._ids)
        return self._release(text)

    def finish(self) -> str:
        """The rest of the text, whatever was held back."""
        if self.is_stopped:
            return ""
        rest = self._release(self._undecoded())
        held, self._held = self._held, ""
        return rest if self.is_stopped else rest + held

    def _undecoded(self) -> str:
        """Text of the unread tokens. Some before them are decoded too: a token's text may depend on them."""
        before = self._decode(self._ids[self._context_start : self._read])
        return self._decode(self._ids[self._context_start :])[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _release(self, text: str) -> str:
        text = self._held + text
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            self._held = ""
            return text[: min(found)]
        kept = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if stop.startswith(text[-size:])), 0)
