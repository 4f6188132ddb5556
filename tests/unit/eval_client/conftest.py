"""Records of requests with only what a test cares about."""

from collections.abc import Callable
from typing import Any

import pytest

from bitloom.results import SampleRecord

HASH = "0" * 64
MakeRecord = Callable[..., SampleRecord]


@pytest.fixture
def record() -> MakeRecord:
    """A record of an answered request, or of a failed one where `error` is given."""

    def make(sample_id: str = "vqa/1", **changes: Any) -> SampleRecord:
        is_failed = changes.get("error") is not None
        fields: dict[str, Any] = {
            "sample_id": sample_id,
            "task": sample_id.partition("/")[0],
            "image_id": "i",
            "request_hash": HASH,
            "image_sha256": HASH,
            "prompt": "what?",
            "state": "failed" if is_failed else "answered",
            "answer": None if is_failed else "yes",
            "error": None,
            "finish_reason": None if is_failed else "stop",
            "usage": None,
            "sent_at_s": 0.0,
            "chunk_times_s": () if is_failed else (0.1,),
            "end_s": None if is_failed else 0.2,
            "retries": 0,
        }
        return SampleRecord.model_validate(fields | changes)

    return make
