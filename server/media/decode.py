"""From the bytes of an image to canonical PNG bytes: RGB, upright, no alpha, no metadata.

Every arm of an experiment sees these pixels. The header is read and judged before any pixel is
decoded, so that a small file cannot ask for a large memory.
"""

from __future__ import annotations

import io
import struct
import zlib

from PIL import GifImagePlugin, Image, ImageOps, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from server.config import Limits
from server.errors import BadRequest, RequestError, TooLarge
from server.media.source import SIGNATURES

# Importing the plugins registers exactly these; Pillow would otherwise load all it has to find WebP.
PLUGINS = (PngImagePlugin, JpegImagePlugin, GifImagePlugin, WebPImagePlugin)
# What Pillow's parsers raise on hostile bytes; its own errors derive from OSError and SyntaxError.
DECODER_FAULTS = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(MemoryError, NotImplementedError, struct.error, zlib.error),
)
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
WHITE = (255, 255, 255)


def canonical_png(
    data: bytes, declared: str, param: str, limits: Limits, budget_pixels: int
) -> tuple[bytes, int]:
    """PNG bytes and number of pixels of the image in `data`, which the client declared as `declared`.

    Raises BadRequest (no image, another format, too small or too narrow) or TooLarge (more pixels
    than `limits` or than `budget_pixels`, what the request has left). Runs in a worker thread.
    """
    if not data.startswith(SIGNATURES[declared]):
        raise _no_image(declared, param)
    try:
        with Image.open(io.BytesIO(data), formats=(declared,)) as image:
            _check_size(image.size, param, limits, budget_pixels)
            # A GIF's first frame may be larger than its header said: look again, still undecoded.
            upright = _to_rgb(ImageOps.exif_transpose(_loaded(image, param, limits, budget_pixels)))
            buffer = io.BytesIO()
            # Level 1: the PNG lives for one hop over a Unix socket.
            upright.save(buffer, "PNG", compress_level=1)
    except RequestError:
        raise
    except BOMBS as exc:
        raise _too_many_pixels(param, min(limits.image_pixels, budget_pixels)) from exc
    except DECODER_FAULTS as exc:
        raise _no_image(declared, param) from exc
    return buffer.getvalue(), upright.width * upright.height


def _loaded(image: Image.Image, param: str, limits: Limits, budget_pixels: int) -> Image.Image:
    image.seek(0)
    _check_size(image.size, param, limits, budget_pixels)
    image.load()
    return image


def _check_size(size: tuple[int, int], param: str, limits: Limits, budget_pixels: int) -> None:
    width, height = size
    if min(width, height) < limits.image_side:
        raise BadRequest(
            f"{param} is {width} x {height} pixels; each side must have at least {limits.image_side}",
            code="image_too_small",
            param=param,
        )
    if max(width, height) > limits.image_aspect * min(width, height):
        raise BadRequest(
            f"{param} is {width} x {height} pixels; one side may be {limits.image_aspect:g} times the other",
            code="image_too_narrow",
            param=param,
        )
    allowed = min(limits.image_pixels, budget_pixels)
    if width * height > allowed:
        raise _too_many_pixels(param, allowed)


def _to_rgb(image: Image.Image) -> Image.Image:
    """RGB on white. 16-bit grey is scaled: Pillow's own conversion would clip it to white."""
    if image.mode in {"I", "I;16", "I;16B", "I;16L", "I;16N"}:
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        flat = Image.new("RGB", image.size, WHITE)
        flat.paste(image, mask=image.getchannel("A"))
        return flat
    rgb = image.convert("RGB")
    rgb.info.clear()
    return rgb


def _no_image(declared: str, param: str) -> BadRequest:
    return BadRequest(
        f"{param} does not hold a readable {declared} image, though it declares one; "
        "send the whole file, and its own type in the data URI",
        code="invalid_image",
        param=param,
    )


def _too_many_pixels(param: str, allowed: int) -> TooLarge:
    return TooLarge(
        f"{param} has more pixels than the {allowed} left for it; send a smaller image",
        code="image_too_many_pixels",
        param=param,
    )
