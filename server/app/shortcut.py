"""The way of an inference request past what Starlette puts around every route: it needs none of it.

Each layer there wraps `send`, and a stream calls that for every event.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from server.app.failures import forsake, refuse
from server.errors import RequestError


class Shortcut:
    """Plain ASGI. POSTs to `routes`, apps by their exact path, are called here, all else goes on."""

    def __init__(self, app: ASGIApp, routes: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the route, and answer what it raises as the app's own handlers do."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        route = self._routes.get(scope["path"]) if is_post else None
        if route is None:
            await self._app(scope, receive, send)
            return
        try:
            await route(scope, receive, send)
        except RequestError as error:
            await refuse(Request(scope), error)(scope, receive, send)
        except ClientDisconnect:
            await forsake(Request(scope))(scope, receive, send)
