"""Errors of the state that outlives a restart.

bitloom.errors.BitloomError
└── StateError         the state cannot be read or written; it is never begun anew silently
    └── UnknownRequest no kept request has this id
"""

from __future__ import annotations

from bitloom.errors import BitloomError


class StateError(BitloomError):
    """The state directory is damaged, full, locked by another server, or of another version."""


class UnknownRequest(StateError):
    """Feedback names a request that is not kept, or that another key sent."""
