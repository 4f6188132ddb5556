"""Bodies in /openapi.json: routes read them themselves, to bound them first, so FastAPI cannot see them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def json_body(*models: type[BaseModel]) -> dict[str, Any]:
    """What a route passes as `openapi_extra`: a body that is one of `models`, definitions written out."""
    schemas = [_inlined(model.model_json_schema()) for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Without `$defs`: their references would be looked for in the whole document. None refers to itself."""
    definitions = schema.pop("$defs", {})

    def write_out(node: Any) -> Any:
        if isinstance(node, list):
            return [write_out(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return write_out(definitions[node["$ref"].rpartition("/")[2]])
        return {key: write_out(each) for key, each in node.items() if key != "discriminator"}

    written: dict[str, Any] = write_out(schema)
    return written
