"""Who may call what: deny by default, decided on the exact path before anything else runs.

The path that is judged is the one that is routed, unnormalised, so no spelling of a path can pass the
check as one route and be served as another.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from server.app.failures import refuse
from server.app.rate_limit import RateLimiter
from server.errors import Forbidden, RequestError, Unauthorized
from server.keys import KeyRecord, KeyRing
from server.keys import Scope as KeyScope

# Probes and scrapers hold no keys; these answers tell nothing about requests.
OPEN_PATHS = frozenset({"/health", "/ready", "/metrics", "/metrics/workers"})
ADMIN_PREFIX = "/admin"


def key_of(request: Request) -> KeyRecord | None:
    """The key that a request came with, None on a server without keys."""
    key = getattr(request.state, "key", None)
    assert key is None or isinstance(key, KeyRecord)
    return key


class AccessMiddleware:
    """Plain ASGI. Put inside the request ids, so that a refusal has one."""

    def __init__(self, app: ASGIApp, ring: KeyRing, limiter: RateLimiter) -> None:
        self._app = app
        self._ring = ring
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app for those who may."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            try:
                scope.setdefault("state", {})["key"] = self._admit(scope)
            except RequestError as error:
                await refuse(Request(scope), error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> KeyRecord:
        kind, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
        key = self._ring.find(secret.strip()) if kind.lower() == "bearer" else None
        if key is None:
            raise Unauthorized(
                "no valid API key; send one as `Authorization: Bearer KEY`", code="invalid_api_key"
            )
        needed = needed_scope(scope["path"])
        if needed not in key.scopes:
            raise Forbidden(f"this key lacks the scope {needed}; use one that has it", code="missing_scope")
        self._limiter.spend(key)
        return key


def needed_scope(path: str) -> KeyScope:
    """Scope that a path needs."""
    return "admin" if path.startswith(ADMIN_PREFIX) else "infer"
