"""The page's files, read once, and the strict Content-Security-Policy that they are served under."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

INDEX = "index.html"
KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
FILES = (
    *("style.css", "icon.svg", "app.js", "element.js", "gateway.js", "stream.js"),
    *("compare.js", "answer.js", "live.js", "experiment.js", "study.js", "plot.js"),
)
# Exact, as all of access control is: these paths are open, everything else is not.
PAGE_PATHS = frozenset({"/", *(f"/page/{name}" for name in FILES)})

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page; `tag` is its entity tag."""

    body: bytes
    kind: str
    tag: str


@cache
def asset(name: str) -> Asset:
    """A file of the package."""
    body = resources.files("server.page").joinpath("static", name).read_bytes()
    return Asset(body, KINDS[name.rpartition(".")[2]], f'"{hashlib.sha256(body).hexdigest()[:16]}"')
