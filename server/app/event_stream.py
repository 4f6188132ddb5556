"""Read a server-sent event stream as it passes: whole events out, facts about the answer kept.

Nothing is decoded or re-encoded. The patterns cannot match inside a text: quotes are escaped there.
"""

from __future__ import annotations

import re

from server.app.answer import PromptDetails, Usage

_CONTENT = re.compile(rb'"(?:content|reasoning|reasoning_content|refusal|arguments|text)"\s*:\s*"(?!")')
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"([a-z_]{1,32})"')
_PROMPT_TOKENS = re.compile(rb'"prompt_tokens"\s*:\s*(\d{1,12})')
_GENERATED_TOKENS = re.compile(rb'"completion_tokens"\s*:\s*(\d{1,12})')
_IMAGE_TOKENS = re.compile(rb'"multimodal_tokens"\s*:\s*\{[^}]{0,200}?"image"\s*:\s*(\d{1,12})')
_ERROR = re.compile(rb'data:\s*\{\s*"error"\s*:')
_DONE = re.compile(rb"^data:\s*\[DONE\]", re.MULTILINE)
MAX_EVENT_BYTES = 4 << 20


class EventStream:
    """Facts of one stream so far. `has_content` is about the events of the last `feed`."""

    def __init__(self) -> None:
        self._partial = b""
        self.has_content = False
        self.is_done = False
        self.has_error = False
        self.finish_reason: str | None = None
        self.usage = Usage()

    def feed(self, data: bytes) -> bytes:
        """Whole events that `data` completes, byte for byte; the rest is kept for the next call.

        Holding partial events back is what lets an error event follow when the worker dies inside one.
        """
        data = self._partial + data if self._partial else data
        end = _end_of_events(data)
        if end == 0 and len(data) <= MAX_EVENT_BYTES:
            self._partial = data
            self.has_content = False
            return b""
        end = end or len(data)
        events, self._partial = data[:end], data[end:]
        self._note(events)
        return events

    def _note(self, events: bytes) -> None:
        self.has_content = _CONTENT.search(events) is not None
        if (finish := _FINISH.search(events)) is not None:
            self.finish_reason = finish[1].decode()
        if b'"usage"' in events:
            self._note_usage(events)
        if b"[DONE]" in events:
            self.is_done = _DONE.search(events) is not None
        if b'"error"' in events:
            self.has_error = self.has_error or _ERROR.search(events) is not None

    def _note_usage(self, events: bytes) -> None:
        prompt = _PROMPT_TOKENS.findall(events)
        generated = _GENERATED_TOKENS.findall(events)
        if prompt and generated:
            images = _IMAGE_TOKENS.findall(events)
            details = PromptDetails(image_tokens=int(images[-1])) if images else None
            self.usage = Usage(
                prompt_tokens=int(prompt[-1]),
                completion_tokens=int(generated[-1]),
                prompt_tokens_details=details,
            )


def _end_of_events(data: bytes) -> int:
    """Offset behind the last blank line, 0 where there is none."""
    line_feed = data.rfind(b"\n\n")
    carriage_return = data.rfind(b"\r\n\r\n")
    return max(line_feed + 2 if line_feed >= 0 else 0, carriage_return + 4 if carriage_return >= 0 else 0)
