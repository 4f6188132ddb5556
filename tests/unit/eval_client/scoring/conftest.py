"""Small files in the official formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[[str, Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a document as JSON, or a list as JSON lines where the name ends in .jsonl."""

    def to_file(name: str, document: Any) -> Path:
        path = tmp_path / name
        if name.endswith(".jsonl"):
            path.write_text("".join(json.dumps(line) + "\n" for line in document), encoding="utf-8")
        else:
            path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return to_file
