"""Images: sent as they are, named when they are none, made new for timing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bitloom.errors import DataError
from eval_client.images import ImageFile, encode_png, made_new

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8))


@pytest.mark.parametrize(("name", "media_type"), [("a.jpg", "image/jpeg"), ("a.png", "image/png")])
def test_a_file_is_sent_as_it_is(tmp_path: Path, name: str, media_type: str) -> None:
    PICTURE.save(tmp_path / name)
    image = ImageFile("7", tmp_path / name).read()
    assert image.content == (tmp_path / name).read_bytes()
    assert image.media_type == media_type


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.jpg", format="PNG")
    assert ImageFile("7", tmp_path / "a.jpg").read().media_type == "image/png"


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg: image 7 is no image"):
        ImageFile("7", tmp_path / "a.jpg").read()


def test_an_image_in_another_format_is_named(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.bmp")
    with pytest.raises(DataError, match="image 7 is BMP; expected one of JPEG"):
        ImageFile("7", tmp_path / "a.bmp").read()


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.jpg: image 7 cannot be read"):
        ImageFile("7", tmp_path / "a.jpg").read()


def test_made_new_changes_one_pixel_only() -> None:
    image = encode_png(PICTURE)
    new = [made_new(image, nonce) for nonce in (1, 2)]
    assert len({image.sha256, *(each.sha256 for each in new)}) == 3
    pixels, changed = np.asarray(image.decode()), np.asarray(new[0].decode())
    assert changed[0, 0].tolist() == [0, 0, 1]
    assert (pixels != changed).any(axis=-1).sum() == 1
