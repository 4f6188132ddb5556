"""What scoring a file of predictions gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from eval_client.scoring.records import RecordId


@dataclass(frozen=True, slots=True)
class FileScores:
    """Scores of a file: shares between 0 and 1 (CIDEr up to 10), None where a share is of nothing.

    `per_sample` has one entry a sample: its id and what it scored. `groups` are means over kinds of
    samples. `variant` names the definition where there are several.
    """

    task: str
    samples: int
    scores: Mapping[str, float | None]
    per_sample: Sequence[Mapping[str, float | RecordId]]
    variant: str | None = None
    groups: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return asdict(self)
