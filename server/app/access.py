"""Who may call what: deny by default, decided on the exact path before anything else runs.

The path that is judged is the one that is routed, unnormalised, so no spelling of a path can pass the
check as one route and be served as another. Without keys inference is open, and administration is for
programs on this machine: a page in a browser here, or a name that a stranger's DNS points here, is neither.
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from server.app.failures import refuse
from server.app.gateway import Gateway
from server.errors import Forbidden, RequestError, Unauthorized
from server.keys import KeyRecord
from server.keys import Scope as KeyScope
from server.page.files import PAGE_PATHS

# Probes and scrapers hold no keys, browsers send none for a page; these answers tell nothing about requests.
OPEN_PATHS = frozenset({"/health", "/ready", "/metrics", "/metrics/workers"}) | PAGE_PATHS
ADMIN_PREFIX = "/admin"


def key_of(request: Request) -> KeyRecord | None:
    """The key that a request came with, None on a server without keys."""
    key = getattr(request.state, "key", None)
    assert key is None or isinstance(key, KeyRecord)
    return key


class AccessMiddleware:
    """Plain ASGI. Put inside the request ids, so that a refusal has one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app for those who may."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            try:
                scope.setdefault("state", {})["key"] = admit(scope["app"].state.gateway, scope)
            except RequestError as error:
                await refuse(Request(scope), error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def admit(gateway: Gateway, scope: Scope) -> KeyRecord | None:
    """Key of a request that may be served, None on a server without keys.

    Raises Unauthorized, Forbidden, or TooMany where the key's rate is used up.
    """
    headers = Headers(scope=scope)
    needed = needed_scope(scope["path"])
    if gateway.ring is None:
        if needed == "admin" and not _is_from_here(scope, headers):
            raise Forbidden(
                "without keys only programs on the server's machine may administer it; give the server a "
                "keys_file and use a key with the scope admin",
                code="missing_scope",
            )
        return None
    kind, _, secret = headers.get("authorization", "").partition(" ")
    key = gateway.ring.find(secret.strip()) if kind.lower() == "bearer" else None
    if key is None:
        raise Unauthorized(
            "no valid API key; send one as `Authorization: Bearer KEY`", code="invalid_api_key"
        )
    if needed not in key.scopes:
        raise Forbidden(f"this key lacks the scope {needed}; use one that has it", code="missing_scope")
    gateway.limiter.spend(key)
    return key


def _is_from_here(scope: Scope, headers: Headers) -> bool:
    host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
    client = scope.get("client")
    return client is not None and is_loopback(client[0]) and is_loopback(host) and "origin" not in headers


def is_loopback(host: str) -> bool:
    """Whether a host, as a URL writes it, is this machine by its very name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def needed_scope(path: str) -> KeyScope:
    """Scope that a path needs."""
    return "admin" if path.startswith(ADMIN_PREFIX) else "infer"
