"""The study worker answers calls until its owner hangs up, and outlives what it cannot do."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from server.workers.study_worker.__main__ import serve


class FakeEngine:
    """Repeats what it is asked; refuses a file that is called so."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def prepare(self, requests: Sequence[Any]) -> int:
        self.requests = list(requests)
        return len(self.requests)

    def swap(self, path: Path) -> float:
        if path.name == "wrong":
            raise ValueError("another shape")
        return 0.5

    def answer(self) -> list[dict[str, Any]]:
        return [{"text": request} for request in self.requests]


def test_calls_and_refusals() -> None:
    ours, theirs = Pipe()
    worker = threading.Thread(target=serve, args=(theirs, FakeEngine()))
    worker.start()

    def call(document: dict[str, Any]) -> dict[str, Any]:
        ours.send_bytes(json.dumps(document).encode())
        answer: dict[str, Any] = json.loads(ours.recv_bytes())
        return answer

    assert json.loads(ours.recv_bytes()) == {"ready": True}
    assert call({"call": "ask", "requests": ["a", "b"]}) == {"count": 2}
    assert call({"call": "swap", "path": "/x/wrong"}) == {"error": "ValueError: another shape"}
    assert call({"call": "swap", "path": "/x/right"}) == {"seconds": 0.5}
    assert call({"call": "answer"}) == {"answers": [{"text": "a"}, {"text": "b"}]}
    assert call({"call": "dance"}) == {"error": "ValueError: unknown call 'dance'"}
    assert "KeyError" in call({"call": "swap"})["error"]
    ours.close()
    worker.join(timeout=10)
    assert not worker.is_alive()
