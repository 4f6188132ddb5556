"""Small files in the published formats."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Write = Callable[[str, Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a JSON document and return its path."""

    def write_json(name: str, document: Any) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return path

    return write_json


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with three pictures named as COCO does."""
    for number in (3, 14, 159):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"COCO_val2014_{number:012d}.png")
    return tmp_path


@pytest.fixture
def captions() -> dict[str, Any]:
    """COCO captions of the three pictures; the last has two."""
    images = [{"id": number, "file_name": f"COCO_val2014_{number:012d}.png"} for number in (3, 14, 159)]
    annotations = [{"image_id": number, "caption": f"caption of {number} "} for number in (3, 14, 159, 159)]
    return {"images": images, "annotations": annotations}


@pytest.fixture
def questions() -> list[dict[str, Any]]:
    """Merged questions about two of the pictures."""
    answers = [{"answer": "yes"}] * 10
    return [
        {"question_id": number, "image_id": image, "question": f"is {number} so?", "answers": answers}
        for number, image in ((31, 3), (32, 3), (141, 14))
    ]
