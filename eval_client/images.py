"""Images as they are sent: encoded bytes with a media type, hashed, and made new for timed passes."""

from __future__ import annotations

import base64
import hashlib
import io
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from PIL import Image, UnidentifiedImageError

from bitloom.errors import DataError
from eval_client.pins import check_pin

_MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of an image file and their media type."""

    content: bytes
    media_type: str

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the bytes as sent."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def data_uri(self) -> str:
        """The image as an OpenAI `image_url` wants it."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"

    def decode(self) -> Image.Image:
        """The picture: RGB."""
        return Image.open(io.BytesIO(self.content)).convert("RGB")


class ImageSource(Protocol):
    """An image that is read when it is needed."""

    @property
    def image_id(self) -> str:
        """Name within the data set."""
        ...

    def read(self) -> EncodedImage:
        """The encoded image. Raises DataError where it is missing or no image."""
        ...


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image in a file, sent as it is. `pins` are its folder's hashes by file name, where it has any."""

    image_id: str
    path: Path
    pins: Mapping[str, str] | None = None
    name: str | None = None

    def read(self) -> EncodedImage:
        """Bytes of the file; only its header is looked at. Raises DataError."""
        try:
            content = self.path.read_bytes()
        except OSError as exc:
            raise DataError(
                f"{self.path}: image {self.image_id} cannot be read ({exc.strerror}); "
                "expected the file that the annotations name: check the image folder"
            ) from exc
        check_pin(self.path, content, self.pins, self.name)
        try:
            with Image.open(io.BytesIO(content)) as image:
                name = image.format
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError) as exc:
            raise DataError(f"{self.path}: image {self.image_id} is no image ({exc}); copy it anew") from exc
        if name not in _MEDIA_TYPES:
            raise DataError(
                f"{self.path}: image {self.image_id} is {name}; expected one of {', '.join(_MEDIA_TYPES)}: "
                "convert it"
            )
        return EncodedImage(content, _MEDIA_TYPES[name])


class ImageCache:
    """Keeps the images read last, by their id: neighbouring samples are often about one image."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._images: OrderedDict[str, EncodedImage] = OrderedDict()

    def read(self, source: ImageSource) -> EncodedImage:
        """The image of a source. Raises DataError where it cannot be read."""
        image = self._images.pop(source.image_id, None) or source.read()
        self._images[source.image_id] = image
        if len(self._images) > self._size:
            self._images.popitem(last=False)
        return image


def encode_png(image: Image.Image) -> EncodedImage:
    """A picture as PNG: the same bytes for the same pixels and Pillow version."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=6)
    return EncodedImage(buffer.getvalue(), "image/png")


def made_new(image: EncodedImage, nonce: int) -> EncodedImage:
    """The same picture with another first pixel, as PNG: no cache, keyed by bytes or pixels, has seen it.

    `nonce` (0 .. 2**24 - 1) becomes the colour of that pixel.
    """
    picture = image.decode()
    picture.putpixel((0, 0), ((nonce >> 16) & 255, (nonce >> 8) & 255, nonce & 255))
    return encode_png(picture)
