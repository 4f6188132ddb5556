"""Routes that read their bodies themselves, to bound them first, and what /openapi.json says of those."""

from __future__ import annotations

from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.types import Receive, Scope, Send


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request and gives the response, and that is called as just that.

    It is described as FastAPI's are; what FastAPI would do for parameters and models that there are not, it
    does not do: that took a third of the gateway's time for a request.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        endpoint = self.endpoint

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app


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
