"""OpenAI's own description of its API as a judge of answers: nothing passes that it does not allow.

It has no schema for the chunks of a streamed text completion: it gives them that of whole answers, and an
example whose `finish_reason` is null. What the example shows is allowed in a chunk, nothing more.
"""

from __future__ import annotations

import gzip
import json
import os
from copy import deepcopy
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
    "/v1/completions": "CompletionChunk",
}


class Description:
    """Validators of the schemas by name."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._schemas = {name: _json_schema(each) for name, each in document["components"]["schemas"].items()}
        self._schemas["CompletionChunk"] = _completion_chunk(document, self._schemas)

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

    def absent_not_null(self, name: str) -> set[str]:
        """Properties anywhere in a schema that it does not require and does not allow to be null."""
        found: set[str] = set()
        self._collect({"$ref": f"/{name}"}, frozenset(), found)
        return found

    def _collect(self, schema: dict[str, Any], above: frozenset[str], found: set[str]) -> None:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name not in above:
                self._collect(self._schemas[name], above | {name}, found)
            return
        for name, each in schema.get("properties", {}).items():
            if name not in schema.get("required", ()) and not self._may_be_null(each):
                found.add(name)
            self._collect(each, above, found)
        parts = [part for kind in ("anyOf", "oneOf", "allOf") for part in schema.get(kind, ())]
        for part in [*parts, *([schema["items"]] if "items" in schema else [])]:
            self._collect(part, above, found)

    def _may_be_null(self, schema: dict[str, Any]) -> bool:
        if "$ref" in schema:
            return self._may_be_null(self._schemas[schema["$ref"].rpartition("/")[2]])
        parts = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        return schema.get("type") == "null" or any(map(self._may_be_null, parts))


def _json_schema(schema: Any) -> Any:
    """JSON Schema from OpenAPI's dialect, which says `nullable`."""
    if isinstance(schema, list):
        return [_json_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    fixed = {
        key: _json_schema(each) for key, each in schema.items() if key not in {"discriminator", "example"}
    }
    return {"anyOf": [fixed, {"type": "null"}]} if fixed.pop("nullable", False) else fixed


def _completion_chunk(document: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    examples = document["paths"]["/completions"]["post"]["x-oaiMeta"]["examples"]
    shown = next(each["response"] for each in examples if each["title"] == "Streaming")
    assert '"finish_reason": null' in shown
    chunk: dict[str, Any] = deepcopy(schemas["CreateCompletionResponse"])
    choice = chunk["properties"]["choices"]["items"]["properties"]
    choice["finish_reason"] = {"anyOf": [choice["finish_reason"], {"type": "null"}]}
    return chunk
