"""Where the store is, where nobody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

STORE_ENV = "BITLOOM_STORE"


def default_root() -> Path:
    """The directory in the variable BITLOOM_STORE, or `~/.cache/bitloom/store`."""
    named = os.environ.get(STORE_ENV)
    return Path(named) if named else Path.home() / ".cache" / "bitloom" / "store"
