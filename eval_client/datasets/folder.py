"""A folder of images, looked up by the ids and names that annotation files use."""

from __future__ import annotations

import re
from pathlib import Path

from bitloom.errors import DataError
from eval_client.images import ImageFile
from eval_client.pins import read_pins

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


class ImageFolder:
    """Finds the file of an image id: by file name, by stem, or by the number a COCO name ends in."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataError(f"{root}: no such folder; expected the images that the annotations name")
        self.root = root
        self._pins = read_pins(root)
        self._by_name: dict[str, Path] = {}
        for path in sorted(root.iterdir()):
            if path.suffix.lower() in SUFFIXES:
                for name in _names(path):
                    self._by_name.setdefault(name, path)

    def image(self, image_id: str, file_name: str | None = None) -> ImageFile:
        """The image of an id; raise DataError, naming what was looked for, where there is none."""
        path = self._by_name.get(file_name or image_id) or self._by_name.get(image_id)
        if path is None and file_name is not None and (self.root / file_name).is_file():
            path = self.root / file_name
        if path is None:
            looked_for = file_name or f"a file named {image_id}, or ending in that number"
            raise DataError(
                f"{self.root}: no image {image_id}: expected {looked_for} ({', '.join(SUFFIXES)}); "
                "get the images that belong to the annotations"
            )
        return ImageFile(image_id, path, self._pins, path.relative_to(self.root).as_posix())


def _names(path: Path) -> list[str]:
    names = [path.name, path.stem]
    if number := _LAST_NUMBER.search(path.stem):
        names.append(str(int(number.group(1))))
    return names
