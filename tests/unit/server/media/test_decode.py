"""Canonical pixels for every kind of image, a refusal for everything else."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from server.config import Limits
from server.errors import RequestError
from server.media.decode import canonical_png

LIMITS = Limits(image_pixels=1_000_000)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def canonical(data: bytes, kind: str, budget: int = 10**9) -> Image.Image:
    png, pixels = canonical_png(data, kind, "image", LIMITS, budget)
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "RGB")
    assert pixels == image.width * image.height
    return image


def refused(data: bytes, kind: str = "PNG", budget: int = 10**9) -> RequestError:
    with pytest.raises(RequestError) as caught:
        canonical_png(data, kind, "part 3", LIMITS, budget)
    assert "part 3" in caught.value.message
    return caught.value


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_of(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes that claims any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def test_lossless_pixels_are_kept_exactly() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        image = canonical(encode(Image.fromarray(pixels), kind, **options), kind)
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(("mode", "kind"), [("L", "JPEG"), ("CMYK", "JPEG"), ("P", "GIF"), ("1", "PNG")])
def test_other_modes_become_rgb(mode: str, kind: str) -> None:
    assert canonical(encode(Image.new(mode, (16, 16)), kind), kind).size == (16, 16)


def test_alpha_is_flattened_on_white() -> None:
    image = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    image.putpixel((3, 3), (255, 0, 0, 255))
    flat = canonical(encode(image, "PNG"), "PNG")
    assert flat.getpixel((0, 0)) == (255, 255, 255)
    assert flat.getpixel((3, 3)) == (255, 0, 0)


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    image = Image.new("I;16", (16, 16), 128 * 256)
    assert canonical(encode(image, "PNG"), "PNG").getpixel((0, 0)) == (128, 128, 128)


def test_orientation_is_applied_and_metadata_are_gone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    exif[0x010F] = "camera"
    image = canonical(encode(Image.new("RGB", (20, 10)), "JPEG", exif=exif), "JPEG")
    assert image.size == (10, 20)
    assert not image.getexif()
    assert not image.info


def test_only_the_first_frame_of_an_animation_counts() -> None:
    red, blue = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    data = encode(red, "GIF", save_all=True, append_images=[blue])
    assert canonical(data, "GIF").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("size", "code"),
    [
        ((7, 100), "image_too_small"),
        ((1, 1), "image_too_small"),
        ((8, 401), "image_too_narrow"),
        ((1001, 1000), "image_too_many_pixels"),
        ((40_000, 40_000), "image_too_many_pixels"),
        ((2**31 - 1, 2**31 - 1), "image_too_many_pixels"),
    ],
)
def test_sizes_are_judged_from_the_header(size: tuple[int, int], code: str) -> None:
    assert refused(png_of(*size)).code == code


def test_the_requests_pixels_are_a_budget() -> None:
    data = encode(Image.new("RGB", (100, 100)), "PNG")
    canonical(data, "PNG", budget=10_000)
    assert refused(data, budget=9_999).status == 413


def test_a_gif_whose_frame_is_larger_than_its_screen() -> None:
    data = bytearray(encode(Image.new("P", (16, 16)), "GIF"))
    frame = data.index(b"\x2c")
    data[frame + 5 : frame + 9] = struct.pack("<HH", 65_000, 65_000)
    assert refused(bytes(data), "GIF").code in {"image_too_many_pixels", "invalid_image"}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_truncated_files_are_no_images(kind: str, part: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encode(Image.fromarray(pixels), kind)
    assert refused(data[: int(len(data) * part)], kind).code == "invalid_image"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        b"%PDF-1.4",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0" * 3),
    ],
)
def test_what_is_no_image_is_refused_without_the_decoders_words(data: bytes) -> None:
    error = refused(data)
    assert error.code == "invalid_image"
    assert error.message.startswith("part 3 does not hold a readable PNG image")


def test_another_format_than_declared_is_refused() -> None:
    assert refused(encode(Image.new("RGB", (16, 16)), "JPEG"), "PNG").code == "invalid_image"
    assert refused(encode(Image.new("RGB", (16, 16)), "TIFF"), "WEBP").code == "invalid_image"
