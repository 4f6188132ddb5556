"""Bring what engines send into the form that OpenAI's description of its API gives it.

Engines write null for what they do not have, where the description lets a property be absent but not null;
their log probabilities lack what is never used there. Bytes are matched, not parsed: a stream has a chunk a
token. That is exact: a bare quote cannot stand inside a JSON string, so `,"name":null` is always a property.
What a description does not know (`stop_reason`, `prompt_logprobs`) passes as it is. ADR 0018 has the reasons.
"""

from __future__ import annotations

import json
import re

# Optional, not nullable, in the answers to chats and text completions (openai_openapi.json, 2.3.0).
ABSENT_NOT_NULL = (
    *("usage", "completion_tokens_details", "prompt_tokens_details", "system_fingerprint", "obfuscation"),
    *("accepted_prediction_tokens", "rejected_prediction_tokens", "reasoning_tokens", "audio_tokens"),
    *("text_tokens", "image_tokens", "cached_tokens", "cache_write_tokens"),
    *("annotations", "function_call", "tool_calls", "function", "name", "arguments", "id", "type", "role"),
    *("text_offset", "token_logprobs", "tokens", "top_logprobs"),
)
_NAMES = "|".join(ABSENT_NOT_NULL).encode()
_NULL_LATER = re.compile(rb',\s*"(?:' + _NAMES + rb')"\s*:\s*null\b')
_NULL_FIRST = re.compile(rb'\{\s*"(?:' + _NAMES + rb')"\s*:\s*null\s*,?')
_CHAT_LOGPROBS = re.compile(rb'"logprobs"\s*:\s*\{(?=\s*"content"\s*:)')
_HAS_REFUSAL = re.compile(rb'\]\s*,\s*"refusal"\s*:')
_TOKEN_LOGPROBS = re.compile(rb'"token_logprobs"\s*:\s*\[[^\]]*\]')
_FIRST_TOP = re.compile(rb'("top_logprobs"\s*:\s*\[\s*)null\b')
_LOGPROBS_MISSING = re.compile(rb'"choices"\s*:\s*\[\s*\{')
_ERROR = re.compile(rb'^data:[ \t]*(\{\s*"error"\s*:.*\})[ \t\r]*$', re.MULTILINE)
_EVENT = re.compile(rb"^data:[ \t]*(\{.*\})", re.MULTILINE)


def chat_form(data: bytes) -> bytes:
    """A chat completion, or whole events of a streamed one; refusals have no log probabilities: null."""
    if _CHAT_LOGPROBS.search(data) is not None and _HAS_REFUSAL.search(data) is None:
        data = _CHAT_LOGPROBS.sub(rb'"logprobs":{"refusal":null,', data)
    return _without_nulls(data)


def text_form(data: bytes) -> bytes:
    """A text completion, or whole events of a streamed one.

    An echoed prompt's first token is given, not drawn: its log probability is 0, and nothing else is likely.
    """
    if b'"token_logprobs"' in data:
        data = _TOKEN_LOGPROBS.sub(lambda array: array[0].replace(b"null", b"0.0"), data)
        data = _FIRST_TOP.sub(rb"\1{}", data)
    if b'"logprobs"' not in data and _LOGPROBS_MISSING.search(data) is not None:
        data = _with_logprobs(data)
    return _without_nulls(data)


def error_form(events: bytes) -> bytes:
    """Events of a stream that an engine ends with an error of its own: codes are text, not numbers."""
    return _ERROR.sub(lambda event: b"data: " + _official_error(event[1]), events)


def _official_error(event: bytes) -> bytes:
    try:
        given = json.loads(event)["error"]
    except (ValueError, RecursionError):
        given = None
    given = given if isinstance(given, dict) else {"message": given}
    message, kind = (str(given.get(name) or "") for name in ("message", "type"))
    param, code = (None if given.get(name) is None else str(given[name]) for name in ("param", "code"))
    error = {"message": message or "the engine failed", "type": kind or "server_error"}
    return json.dumps({"error": {**error, "param": param, "code": code}}).encode()


def _without_nulls(data: bytes) -> bytes:
    if b"null" not in data:
        return data
    return _NULL_FIRST.sub(b"{", _NULL_LATER.sub(b"", data))


def _with_logprobs(data: bytes) -> bytes:
    """Choices that say nothing of log probabilities say null: rare, so it may be parsed."""
    if not data.lstrip().startswith(b"data:"):
        return _say_null(data)
    return _EVENT.sub(lambda event: b"data: " + _say_null(event[1]), data)


def _say_null(document: bytes) -> bytes:
    answer = json.loads(document)
    for choice in answer.get("choices") or ():
        choice.setdefault("logprobs", None)
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()
