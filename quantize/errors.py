"""Errors of the offline stage, beside those of `bitloom.errors`.

BitloomError
├── QuantizationError   a layer could not be quantized (weights or statistics not finite, ...)
└── StoreError          the artifact store could not be written, or an object in it is damaged
"""

from __future__ import annotations

from bitloom.errors import BitloomError


class QuantizationError(BitloomError):
    """A layer could not be quantized; the message names it and says why."""


class StoreError(BitloomError):
    """The artifact store could not be written, or an object in it is missing or damaged."""
