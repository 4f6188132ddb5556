"""OpenAI's own description of its API as a judge of answers.

Where engines deviate and OpenAI's clients do not mind, the deviation is named here and nothing else passes:

- a property that the description does not require may be null, which clients read as absent;
- `logprobs` of a chat may lack `refusal` (vLLM has no refusals);
- the chunks of a streamed text completion have a null `finish_reason` until the last (OpenAI sends it too;
  the description gives streams the form of whole answers), and the last chunk's `logprobs` may be missing;
- an echoed prompt's first token has no log probability: null.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

DESCRIPTION = Path(os.environ.get("BITLOOM_SHARED", "../shared")) / "openai_openapi.json.gz"
WHOLE = {
    "/v1/chat/completions": "CreateChatCompletionResponse",
    "/v1/completions": "CreateCompletionResponse",
    "/v1/embeddings": "CreateEmbeddingResponse",
    "/v1/models": "ListModelsResponse",
    "/v1/models/{model}": "Model",
}
CHUNK = {
    "/v1/chat/completions": "CreateChatCompletionStreamResponse",
    "/v1/completions": "CreateCompletionResponse",
}


class Description:
    """Validators of the schemas by name."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._schemas = {name: _relaxed(each) for name, each in document["components"]["schemas"].items()}
        _name_deviations(self._schemas)

    @classmethod
    def read(cls) -> Description:
        """The description from the shared files; skips the test where they are absent."""
        if not DESCRIPTION.is_file():
            pytest.skip(f"{DESCRIPTION} is absent")
        with gzip.open(DESCRIPTION) as file:
            return cls(json.load(file))

    def check_whole(self, path: str, document: Any) -> None:
        """Raise ValidationError unless `document` is an answer of `path`."""
        self.check(WHOLE[path], document)

    def check_error(self, document: Any) -> None:
        """Raise ValidationError unless `document` is an error."""
        self.check("ErrorResponse", document)

    def check_stream(self, path: str, body: str) -> int:
        """Check every chunk of a stream, and its end; the number of chunks."""
        events = [event.removeprefix("data: ") for event in body.strip().split("\n\n")]
        assert events[-1] == "[DONE]"
        for event in events[:-1]:
            self.check(CHUNK[path], json.loads(event))
        return len(events) - 1

    def check(self, name: str, document: Any) -> None:
        """Raise ValidationError unless `document` has the schema `name`."""
        schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": self._schemas}}
        jsonschema.Draft202012Validator(schema).validate(document)


def _relaxed(schema: Any) -> Any:
    """JSON Schema from OpenAPI's dialect: `nullable`, and null for what is not required."""
    if isinstance(schema, list):
        return [_relaxed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    fixed = {key: _relaxed(each) for key, each in schema.items() if key not in {"discriminator", "example"}}
    properties = fixed.get("properties")
    if isinstance(properties, dict):
        required = set(fixed.get("required") or ())
        fixed["properties"] = {
            name: each if name in required else _or_null(each) for name, each in properties.items()
        }
    return _or_null(fixed) if fixed.pop("nullable", False) else fixed


def _or_null(schema: Any) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _name_deviations(schemas: dict[str, Any]) -> None:
    for name in ("CreateChatCompletionResponse", "CreateChatCompletionStreamResponse"):
        _each_object(schemas[name], _without_refusal)
    _each_object(schemas["CreateCompletionResponse"], _completion_chunk)


def _each_object(schema: Any, change: Any) -> None:
    if isinstance(schema, dict):
        change(schema)
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _each_object(each, change)


def _without_refusal(schema: dict[str, Any]) -> None:
    if schema.get("required") == ["content", "refusal"]:
        schema["required"] = ["content"]


def _completion_chunk(schema: dict[str, Any]) -> None:
    if set(schema.get("required", ())) == {"finish_reason", "index", "logprobs", "text"}:
        properties = schema["properties"]
        properties["finish_reason"] = _or_null(properties["finish_reason"])
        schema["required"] = ["finish_reason", "index", "text"]
    properties = schema.get("properties", {})
    if isinstance(properties, dict) and "token_logprobs" in properties:
        for name, item in (("token_logprobs", {"type": "number"}), ("top_logprobs", {"type": "object"})):
            properties[name] = _or_null({"type": "array", "items": _or_null(item)})
