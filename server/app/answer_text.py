"""The text of an answer, whole or streamed, for comparing answers."""

from __future__ import annotations

import json
import re

from server.app.answer import Answer

_EVENT = re.compile(rb"^data:[ \t]*(\{.*\})[ \t\r]*$", re.MULTILINE)


def answer_text(answer: Answer) -> str:
    """Text of the first choice; empty where it has none."""
    first = answer.choices[0]
    return first.message.content or first.text or ""


def streamed_text(events: bytes) -> str:
    """Text of the first choice, joined from the events of a stream; events of other kinds are passed over."""
    pieces = []
    for event in _EVENT.findall(events):
        for choice in json.loads(event).get("choices") or ():
            if choice.get("index", 0) == 0:
                pieces.append((choice.get("delta") or {}).get("content") or choice.get("text") or "")
    return "".join(pieces)
