"""Errors that Bitloom raises on purpose.

    BitloomError            the work failed; exit code 1
    ├── InputError          what the user gave cannot be used; exit code 2
    │   ├── PlanError       a plan is invalid, or does not fit its checkpoint
    │   ├── CheckpointError a base checkpoint is missing, truncated or of an unknown family
    │   ├── VariantError    a variant directory is incomplete or was changed
    │   └── DataError       a data set or an image is missing or malformed
    ├── EndpointError       an endpoint is down, or answered what no endpoint should
    └── WorkerError         a worker process did not start or died

Each message says what was given, what was expected and what to do. The rooms derive their own
errors from these (one `errors.py` a room where they need more).
"""

from __future__ import annotations


class BitloomError(Exception):
    """The work failed for a reason that Bitloom can name."""

    exit_code = 1


class InputError(BitloomError):
    """What the user gave cannot be used; the message holds the remedy."""

    exit_code = 2


class PlanError(InputError):
    """A plan is invalid, or does not fit the checkpoint it names."""


class CheckpointError(InputError):
    """A base checkpoint is missing, truncated, or of a family Bitloom does not know."""


class VariantError(InputError):
    """A variant directory is incomplete, or its files are not those of its manifest."""


class DataError(InputError):
    """A data set, an image or a results file is missing or malformed."""


class EndpointError(BitloomError):
    """An endpoint is down, or answered what no endpoint should."""


class WorkerError(BitloomError):
    """A worker process did not start, or died."""
