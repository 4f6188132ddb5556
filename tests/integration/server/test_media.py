"""Images reach engines only as canonical PNG; a hostile one reaches none."""

from __future__ import annotations

import base64
import io
import time
from typing import Any

import pytest
from PIL import Image


def uri(image: Image.Image, kind: str = "PNG", **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(buffer.getvalue()).decode()


def chat(*urls: str) -> dict[str, Any]:
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"model": "a", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, *images]}]}


async def post(served: Any, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    async with served.http.post("/v1/chat/completions", json=body) as response:
        return response.status, await response.json()


async def test_the_engine_gets_upright_opaque_png(connect: Any) -> None:
    served = await connect("a", worker={"max_images": 2})
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = uri(Image.new("RGB", (20, 10), "blue"), "JPEG", exif=exif)
    icon = uri(Image.new("RGBA", (16, 16), (0, 0, 0, 0)))
    status, _ = await post(served, chat(photo, icon))
    assert status == 200
    parts = served.engines["a"].received[0]["messages"][0]["content"]
    sent = [part["image_url"]["url"] for part in parts[1:]]
    prefix = "data:image/png;base64,"
    assert all(url.startswith(prefix) for url in sent)
    images = [Image.open(io.BytesIO(base64.b64decode(url.removeprefix(prefix)))) for url in sent]
    assert [(image.size, image.mode) for image in images] == [((10, 20), "RGB"), ((16, 16), "RGB")]
    assert images[1].getpixel((0, 0)) == (255, 255, 255)
    assert served.metric("image_decode_seconds_count") == 1


async def test_equal_images_reach_every_variant_equally(connect: Any) -> None:
    served = await connect("a", "b")
    image = uri(Image.effect_noise((40, 40), 50), "WEBP")
    for model in ("a", "b"):
        assert (await post(served, {**chat(image), "model": model}))[0] == 200
    one, other = (served.engines[name].received[0]["messages"] for name in ("a", "b"))
    assert one == other


BOMB = uri(Image.new("1", (20_000, 20_000)))
HOSTILE = {
    "bomb": BOMB,
    "one pixel": uri(Image.new("RGB", (1, 1))),
    "strip": uri(Image.new("1", (8, 40_000))),
    "no image": "data:image/png;base64," + base64.b64encode(b"hello").decode(),
    "nothing": "data:image/png;base64,",
    "truncated": uri(Image.effect_noise((64, 64), 50))[:-1000],
    "wrong type": uri(Image.new("RGB", (16, 16)), "JPEG").replace("image/jpeg", "image/png"),
    "html": "data:text/html;base64,PGh0bWw+",
    "svg": "data:image/svg+xml;base64,PHN2Zz4=",
    "bmp": uri(Image.new("RGB", (16, 16)), "BMP"),
    "polyglot": "data:image/png;base64," + base64.b64encode(b"GIF89a/*<script>" + b"\0" * 99).decode(),
    "no base64": "data:image/png;base64,@@@@",
    "metadata service": "http://169.254.169.254/latest/meta-data/",
    "decimal": "http://2130706433/",
    "mapped": "http://[::ffff:7f00:1]/",
    "backslash": "https:\\\\evil\\a.png",
    "file": "file:///etc/passwd",
    "path": "/etc/passwd",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_image_is_refused_at_the_gateway(connect: Any, name: str) -> None:
    served = await connect("a")
    started = time.monotonic()
    status, document = await post(served, chat(HOSTILE[name]))
    assert time.monotonic() - started < 5  # a second on an idle machine
    assert status in {400, 413}
    error = document["error"]
    assert error["param"] == "messages[0].content[1].image_url"
    for word in ("cannot identify", "Traceback", "PIL", "libpng", "passwd"):
        assert word not in error["message"]
    assert not served.engines["a"].received
    assert served.metric("requests_rejected_total", reason=error["code"]) == 1


async def test_the_part_at_fault_is_named(connect: Any) -> None:
    served = await connect("a", worker={"max_images": 3})
    good = uri(Image.new("RGB", (16, 16)))
    _, document = await post(served, chat(good, good, HOSTILE["no image"]))
    assert "messages[0].content[3].image_url" in document["error"]["message"]


async def test_ten_thousand_images(connect: Any) -> None:
    served = await connect("a")
    status, document = await post(served, chat(*["data:image/png;base64,AAAA"] * 10_000))
    assert status == 400
    assert not served.engines["a"].received
    assert len(document["error"]["message"]) < 300


async def test_the_pixels_of_one_request_add_up(connect: Any) -> None:
    served = await connect("a", worker={"max_images": 2}, limits={"request_pixels": 1500})
    image = uri(Image.new("RGB", (30, 30)))
    assert (await post(served, chat(image)))[0] == 200
    status, document = await post(served, chat(image, image))
    assert (status, document["error"]["code"]) == (413, "image_too_many_pixels")
