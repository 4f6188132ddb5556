"""Images of a request: data URIs to RGB pixels."""

from __future__ import annotations

import base64
import binascii
import io

from PIL import Image

from server.errors import BadRequest

MAX_PIXELS = 64 << 20


def decode_image(url: str) -> Image.Image:
    """RGB image of a base64 data URI; BadRequest where it is none, or is larger than MAX_PIXELS."""
    head, _, payload = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64")):
        raise _bad("expected a data:image/...;base64 URI; workers fetch nothing")
    try:
        content = base64.b64decode(payload, validate=True)
        image = Image.open(io.BytesIO(content))
        if image.width * image.height > MAX_PIXELS:
            raise _bad(f"{image.width} x {image.height} pixels; at most {MAX_PIXELS} are taken")
        return image.convert("RGB")
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise _bad("cannot be decoded; send a complete PNG or JPEG") from exc


def _bad(message: str) -> BadRequest:
    return BadRequest(f"image_url: {message}", code="invalid_image", param="messages")
