"""What an endpoint says of itself before a run: whether it is there, and which models it has."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bitloom.errors import EndpointError, InputError
from eval_client.endpoint.client import translated
from eval_client.errors import RequestError

_PATIENCE_S = 20.0
_LIMITS = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
_VOLATILE = {"created", "permission", "object"}


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model's entry in `/v1/models`, without what changes from start to start."""

    name: str
    fields: dict[str, Any]

    @property
    def base(self) -> str:
        """The checkpoint or family the entry names, or ""."""
        known = ("base", "family", "architecture", "root", "owned_by")
        return " ".join(str(self.fields[name]) for name in known if self.fields.get(name))


def normalise_endpoint(url: str) -> str:
    """The URL that `/chat/completions` follows: `http://host:port/v1`. Raises InputError for no URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InputError(f"endpoint {url!r}: not a URL; expected one like http://127.0.0.1:8000")
    bare = url.rstrip("/")
    return bare if bare.endswith("/v1") else f"{bare}/v1"


async def read_card(session: aiohttp.ClientSession, endpoint: str, model: str) -> ModelCard:
    """The card of a model; an empty one where the endpoint keeps no list of models.

    Raises EndpointError where nothing answers within seconds, InputError where the model is not listed.
    """
    try:
        with translated():
            async with asyncio.timeout(_PATIENCE_S), _get_models(session, endpoint) as response:
                if response.status in (404, 405, 501):
                    return ModelCard(model, {})
                if response.status != 200:
                    raise RequestError("http_5xx", f"HTTP {response.status}")
                document = await response.json(content_type=None)
    except (RequestError, ValueError) as exc:
        raise EndpointError(
            f"{endpoint}: {exc}; expected an OpenAI-style server there: "
            "start one (`bitloom serve`), or correct --endpoint"
        ) from exc
    return _find(endpoint, model, document)


async def is_answering(session: aiohttp.ClientSession, endpoint: str) -> bool:
    """Whether anything at all answers over HTTP there."""
    try:
        with translated():
            async with asyncio.timeout(_PATIENCE_S), _get_models(session, endpoint) as response:
                return bool(response.status < 500)
    except RequestError:
        return False


def _get_models(
    session: aiohttp.ClientSession, endpoint: str
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    answer: AbstractAsyncContextManager[aiohttp.ClientResponse] = session.get(
        f"{endpoint}/models", timeout=_LIMITS
    )
    return answer


def _find(endpoint: str, model: str, document: Any) -> ModelCard:
    entries = document.get("data") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise EndpointError(f"{endpoint}/models: no list of models; expected an OpenAI-style server there")
    cards = {entry["id"]: entry for entry in entries if isinstance(entry, dict) and "id" in entry}
    if model not in cards:
        raise InputError(
            f"model {model!r}: not at {endpoint}, which has {', '.join(map(str, cards)) or 'none'}; "
            "give one of these as --model"
        )
    return ModelCard(model, {key: value for key, value in cards[model].items() if key not in _VOLATILE})
