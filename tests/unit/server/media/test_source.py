"""Only data URIs; every other way to name an image is refused without looking at it."""

from __future__ import annotations

import base64

import pytest

from server.config import Limits
from server.errors import RequestError
from server.media.source import read_data_uri

LIMITS = Limits(image_bytes=1000)


def refused(url: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read_data_uri(url, "messages[0].content[1].image_url", LIMITS)
    assert caught.value.param == "messages[0].content[1].image_url"
    assert "messages[0].content[1].image_url" in caught.value.message
    return caught.value


@pytest.mark.parametrize("data", [b"", b"abc", bytes(1000)])
def test_content_and_type_are_read(data: bytes) -> None:
    url = "data:image/jpg;base64," + base64.b64encode(data).decode()
    assert read_data_uri(url, "p", LIMITS) == ("JPEG", data)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.png",
        "https://example.com/a.png",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
        "http://127.0.0.1\\@example.com/",
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "/etc/passwd",
        "gopher://x",
        " data:image/png;base64,AAAA",
        "",
    ],
)
def test_urls_are_refused(url: str) -> None:
    error = refused(url)
    assert (error.status, error.code) == (400, "invalid_image_url")
    assert "fetches nothing" in error.message


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:image/svg+xml;base64,AAAA", "unsupported_image_type"),
        ("data:text/html;base64,AAAA", "unsupported_image_type"),
        ("data:image/png,AAAA", "invalid_image_url"),
        ("data:image/png;charset=x;base64,AAAA", "invalid_image_url"),
        ("data:;base64,AAAA", "invalid_image_url"),
        ("data:image/png;base64,A", "invalid_base64"),
        ("data:image/png;base64,AA\nAA", "invalid_base64"),
        ("data:image/png;base64,äöü=", "invalid_base64"),
        ("data:image/png;base64," + "A" * 2000, "image_too_large"),
    ],
)
def test_faulty_data_uris(url: str, code: str) -> None:
    assert refused(url).code == code
