"""What schemathesis draws, made to reach a worker: /openapi.json cannot say which models a server has.

The bodies of its coverage phase stay as they are, so unknown names are asked for too.
"""

from __future__ import annotations

import importlib
from typing import Any

schemathesis: Any = importlib.import_module("schemathesis")


@schemathesis.hook  # type: ignore[untyped-decorator]
def map_body(_context: Any, body: Any) -> Any:
    """Ask for a model that there is."""
    return {**body, "model": "a"} if isinstance(body, dict) and "model" in body else body
