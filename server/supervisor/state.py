"""The states a variant can be in, as operators see them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """`waiting` for its turn to start, `starting`, `ready`; `swapping` its weights, requests held back.

    `draining`: new requests are refused; `restarting` after a loss; `unloaded` by an operator, or evicted;
    `stopped` with the server.
    """

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    SWAPPING = "swapping"
    DRAINING = "draining"
    RESTARTING = "restarting"
    UNLOADED = "unloaded"
    STOPPED = "stopped"
