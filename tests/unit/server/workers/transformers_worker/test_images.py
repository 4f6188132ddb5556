"""Images of requests."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from server.errors import BadRequest
from server.workers.transformers_worker import images


def uri(image: Image.Image, kind: str = "PNG") -> str:
    content = io.BytesIO()
    image.save(content, kind)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(content.getvalue()).decode()


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = images.decode_image(uri(Image.new(mode, (3, 2))))
    assert (image.mode, image.size) == ("RGB", (3, 2))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "data:text/plain;base64,AAAA",
        "data:image/png,AAAA",
        "data:image/png;base64,?",
        "data:image/png;base64,AAAA",
        uri(Image.new("RGB", (64, 64)))[:120],
    ],
)
def test_what_is_no_image_is_a_bad_request(url: str) -> None:
    with pytest.raises(BadRequest) as caught:
        images.decode_image(url)
    assert caught.value.code == "invalid_image"


def test_the_size_is_checked_before_the_pixels_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 63)
    with pytest.raises(BadRequest, match="8 x 8 pixels; at most 63"):
        images.decode_image(uri(Image.new("RGB", (8, 8))))
