"""From the bytes of a reply to a ChatReply, or to a RequestError that says what was wrong with it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from bitloom.results import Usage
from eval_client.endpoint.chat import ChatReply, TokenLogprob
from eval_client.errors import RequestError

_NO_ANSWER = {"error", "abort", "cancelled"}
_Logprob = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    """Objects of the protocol: only what is used here is checked."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Token(_Part):
    token: str
    logprob: _Logprob


class _FirstToken(_Token):
    top_logprobs: tuple[_Token, ...] = ()


class _Logprobs(_Part):
    content: tuple[_FirstToken, ...] | None = None


class _Message(_Part):
    content: str | None = None


class _Choice(_Part):
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(_Part):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(default=0, ge=0)


class _PromptToken(_Part):
    logprob: _Logprob
    decoded_token: str | None = None


class _Reply(_Part):
    choices: tuple[_Choice, ...]
    usage: _Usage | None = None
    prompt_logprobs: tuple[dict[str, _PromptToken] | None, ...] | None = None


class StreamedReply:
    """Collects the events of one stream; `finish` gives the reply once it is whole.

    A chunk with a role and no content is no token: it neither counts as the first token nor as an answer.
    """

    def __init__(self, sent_at_s: float) -> None:
        self._sent_at_s = sent_at_s
        self._text: list[str] = []
        self._times: list[float] = []
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self._has_choices = False
        self.is_done = False

    def take(self, event: str, at_s: float) -> None:
        """One event, `at_s` seconds after sending. Raises RequestError for what no endpoint should send."""
        if event.strip() == "[DONE]":
            self.is_done = True
            return
        document = _load(event)
        if (text := _plain_text(document)) is not None:
            self._has_choices = True
            self._text.append(text)
            self._times.append(at_s)
            return
        reply = _validated(document, event)
        self._usage = _usage(reply) or self._usage
        for choice in reply.choices[:1]:
            self._has_choices = True
            if choice.delta is not None and choice.delta.content:
                self._text.append(choice.delta.content)
                self._times.append(at_s)
            self._finish_reason = choice.finish_reason or self._finish_reason

    def finish(self, end_s: float) -> ChatReply:
        """The reply; `end_s` is when the stream ended. Raises RequestError where it is not whole."""
        if not self._has_choices and self.is_done:
            raise RequestError("empty", "the stream ended without any choices")
        if self._finish_reason is None:
            raise RequestError("closed", f"the stream ended half-way, after {len(self._times)} chunks")
        _check_finished(self._finish_reason)
        return ChatReply(
            text="".join(self._text),
            finish_reason=self._finish_reason,
            usage=self._usage,
            sent_at_s=self._sent_at_s,
            chunk_times_s=tuple(self._times),
            end_s=end_s,
        )


def parse_reply(content: bytes, sent_at_s: float, end_s: float) -> ChatReply:
    """The reply in a body that came whole. Raises RequestError for what no endpoint should send."""
    try:
        reply = _parse(content.decode())
    except UnicodeDecodeError as exc:
        raise RequestError("garbage", f"a body that is not UTF-8: {content[:40]!r}") from exc
    if not reply.choices:
        raise RequestError("empty", "the reply has no choices")
    choice = reply.choices[0]
    if choice.message is None or choice.finish_reason is None:
        raise RequestError("garbage", "the reply's choice has no message or no finish_reason")
    _check_finished(choice.finish_reason)
    return ChatReply(
        text=choice.message.content or "",
        finish_reason=choice.finish_reason,
        usage=_usage(reply),
        sent_at_s=sent_at_s,
        chunk_times_s=(),
        end_s=end_s,
        top_logprobs=_first_token(choice),
        prompt_logprobs=_prompt_tokens(reply),
    )


def error_message(content: bytes) -> str:
    """What an error body says: the message of an OpenAI error object, else the beginning of the text."""
    text = content[:2000].decode(errors="replace")
    try:
        document = json.loads(content)
    except ValueError:
        return " ".join(text.split())[:300] or "no body"
    error = document.get("error", document) if isinstance(document, dict) else document
    message = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return " ".join(str(message).split())[:300]


def _parse(text: str) -> _Reply:
    return _validated(_load(text), text)


def _load(text: str) -> JsonValue:
    try:
        document: JsonValue = json.loads(text)
    except ValueError as exc:
        raise RequestError("garbage", f"neither JSON nor [DONE]: {text[:80]!r}") from exc
    return document


def _plain_text(document: JsonValue) -> str | None:
    """The text of a chunk that holds nothing else of interest, else None.

    Nearly every chunk is one, and the client's own time between chunks would stand in their gaps; all
    others are validated in full.
    """
    if not isinstance(document, dict) or document.get("error") or document.get("usage"):
        return None
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    if not isinstance(choice, dict) or choice.get("finish_reason") or choice.get("logprobs"):
        return None
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else None
    return text if isinstance(text, str) and text else None


def _validated(document: JsonValue, text: str) -> _Reply:
    if isinstance(document, dict) and document.get("error"):
        raise RequestError("error_body", error_message(text.encode()))
    try:
        return _Reply.model_validate(document)
    except ValidationError as exc:
        fault = exc.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise RequestError("garbage", f"no chat completion ({place}: {fault['msg']}): {text[:80]!r}") from exc


def _usage(reply: _Reply) -> Usage | None:
    return None if reply.usage is None else Usage(**reply.usage.model_dump())


def _check_finished(reason: str) -> None:
    if reason in _NO_ANSWER:
        raise RequestError("aborted", f"the engine gave the request up (finish_reason {reason})")


def _first_token(choice: _Choice) -> tuple[TokenLogprob, ...] | None:
    if choice.logprobs is None or not choice.logprobs.content:
        return None
    first = choice.logprobs.content[0]
    tokens: tuple[Any, ...] = first.top_logprobs or (first,)
    return tuple(TokenLogprob(each.token, each.logprob) for each in tokens)


def _prompt_tokens(reply: _Reply) -> tuple[TokenLogprob, ...] | None:
    """The prompt's own tokens; vLLM lists each position's own token first, and None for the very first."""
    if reply.prompt_logprobs is None:
        return None
    firsts = [next(iter(place.values())) for place in reply.prompt_logprobs if place]
    return tuple(TokenLogprob(each.decoded_token or "", each.logprob) for each in firsts)
