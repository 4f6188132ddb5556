"""The gateway: a FastAPI app that checks requests, passes them to workers and counts."""

from server.app.factory import create_app

__all__ = ["create_app"]
