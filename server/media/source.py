"""Bytes of an image from the URL in a request: data URIs only, within the limits.

The data URI grammar is RFC 2397's, base64 form, without parameters.
"""

from __future__ import annotations

import base64
import binascii
import re

from server.config import Limits
from server.errors import BadRequest, TooLarge

_DATA_URI = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)
SIGNATURES = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "WEBP": (b"RIFF",),
}
FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/jpg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
}
EXPECTED = "give a data URI: data:image/png;base64,... (also image/jpeg, image/webp, image/gif)"


def sniff(data: bytes, param: str) -> str:
    """Format of fetched bytes by their signature: what servers declare is often wrong."""
    for name, signatures in SIGNATURES.items():
        if data.startswith(signatures):
            return name
    raise BadRequest(
        f"{param} is not a PNG, JPEG, WebP or GIF image; give another",
        code="unsupported_image_type",
        param=param,
    )


def read_data_uri(url: str, param: str, limits: Limits) -> tuple[str, bytes]:
    """Declared format (a Pillow name) and content of a data URI; `param` names the part in messages.

    Raises BadRequest for another kind of URL, type or encoding, TooLarge before it decodes too much.
    """
    match = _DATA_URI.match(url)
    if match is None:
        what = "is not a base64 data URI" if url[:5].lower() == "data:" else "is a remote or local URL"
        raise BadRequest(
            f"{param} {what}; this server fetches nothing: {EXPECTED}", code="invalid_image_url", param=param
        )
    declared = FORMATS.get(match[1].lower())
    if declared is None:
        raise BadRequest(
            f"{param} declares a type that is not served; {EXPECTED}",
            code="unsupported_image_type",
            param=param,
        )
    encoded = url[match.end() :]
    if len(encoded) * 3 // 4 > limits.image_bytes + 3:
        raise TooLarge(
            f"{param} is over {limits.image_bytes} bytes; send a smaller image",
            code="image_too_large",
            param=param,
        )
    try:
        return declared, base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BadRequest(
            f"{param} is not valid base64; {EXPECTED}", code="invalid_base64", param=param
        ) from exc
