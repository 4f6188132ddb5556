"""The states a variant can be in, as operators see them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """`waiting` for its turn to start, `starting`, `ready`; `restarting` after a loss; `stopped`."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"
