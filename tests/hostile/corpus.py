"""Requests that no honest client sends, by name. Each is a body for POST /v1/chat/completions or raw HTTP."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from typing import Any

from PIL import Image

KEY = b"{key}"
_TWO = b"content-length: 2\r\n\r\n{}"
URLS = {
    "loopback": "http://127.0.0.1/",
    "decimal address": "http://2130706433/",
    "octal address": "http://0177.0.0.1/",
    "hexadecimal address": "http://0x7f000001/",
    "short address": "http://127.1/",
    "mapped address": "http://[::ffff:7f00:1]/",
    "translated address": "http://[64:ff9b::7f00:1]/",
    "6to4 address": "http://[2002:7f00:1::]/",
    "metadata service": "http://169.254.169.254/latest/meta-data/",
    "link local": "http://[fe80::1]/",
    "backslash host": "https:\\\\evil\\a.png",
    "backslash credentials": "http://example.org\\@127.0.0.1/",
    "credentials": "http://example.org@127.0.0.1/",
    "other port": "http://93.184.216.34:22/",
    "name of this machine": "http://localhost/",
    "encoded host": "http://%31%32%37.0.0.1/",
    "header injection": "http://example.org/\r\nhost: x",
    "file": "file:///etc/passwd",
    "file without slashes": "file:/etc/passwd",
    "path": "/etc/passwd",
    "gopher": "gopher://127.0.0.1:11211/_stats",
    "data without type": "data:,hello",
    "data of text": "data:text/html;base64,PGh0bWw+",
    "data of SVG": "data:image/svg+xml;base64,PHN2Zz4=",
    "data that is no base64": "data:image/png;base64,@@@@",
    "nothing": "",
}


def bodies() -> dict[str, bytes]:
    """Bodies of chats by name."""
    images = {f"image {name}": _chat(_uri(data, kind)) for name, (data, kind) in _images().items()}
    urls = {f"url {name}": _chat(url) for name, url in URLS.items()}
    return {**images, **urls, **_requests()}


def _images() -> dict[str, tuple[bytes, str]]:
    noise = Image.effect_noise((64, 64), 50)
    png, jpeg = _file(noise, "PNG"), _file(noise, "JPEG")
    bomb = b"k\0\0" + zlib.compress(b"a" * (64 << 20))
    gif = _file(Image.new("P", (16, 16)), "GIF")
    return {
        "bomb of one colour": (_file(Image.new("1", (20_000, 20_000)), "PNG"), "png"),
        "bomb by its header": (_png(65_535, 65_535), "png"),
        "bomb of a text chunk": (
            _with_chunk(png, b"zTXt", bomb),
            "png",
        ),
        "bomb of a profile": (_with_chunk(png, b"iCCP", bomb), "png"),
        "GIF whose frame is larger": (
            gif.replace(struct.pack("<HH", 16, 16), b"\x10\0\x10\0\xff\xff\xff\xff"),
            "gif",
        ),
        "one pixel": (_file(Image.new("RGB", (1, 1)), "PNG"), "png"),
        "strip": (_file(Image.new("1", (8, 40_000)), "PNG"), "png"),
        "truncated PNG": (png[: len(png) // 2], "png"),
        "truncated JPEG": (jpeg[: len(jpeg) // 2], "jpeg"),
        "PNG without data": (png[:33], "png"),
        "wrong checksum": (png[:40] + bytes([png[40] ^ 255]) + png[41:], "png"),
        "JPEG called PNG": (jpeg, "png"),
        "PNG called JPEG": (png, "jpeg"),
        "GIF and script": (b"GIF89a/*<script>" + b"\0" * 99, "gif"),
        "PDF called PNG": (b"%PDF-1.4\n" + png, "png"),
        "zip called WebP": (b"PK\3\4" + b"\0" * 64, "webp"),
        "RIFF that is a sound": (b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 32, "webp"),
        "BMP": (_file(Image.new("RGB", (16, 16)), "BMP"), "png"),
        "TIFF": (_file(Image.new("RGB", (16, 16)), "TIFF"), "jpeg"),
        "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run", "png"),
        "empty": (b"", "png"),
        "random": (bytes(range(256)) * 8, "webp"),
    }


def _requests() -> dict[str, bytes]:
    chat = {"model": "a", "messages": [{"role": "user", "content": "x"}]}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

    def with_parts(*parts: Any) -> bytes:
        return json.dumps({**chat, "messages": [{"role": "user", "content": parts}]}).encode()

    changed: dict[str, dict[str, Any]] = {
        "10^5 stop strings": {"stop": ["x"] * 100_000},
        "a long stop string": {"stop": "x" * 100_000},
        "10^9 answers": {"n": 10**9},
        "-1 answers": {"n": -1},
        "10^12 tokens": {"max_tokens": 10**12},
        "10^12 completion tokens": {"max_completion_tokens": 10**12},
        "10^4 messages": {"messages": [chat["messages"][0]] * 10_000},
        "no messages": {"messages": []},
        "a number for messages": {"messages": 3},
        "an unknown model": {"model": "../../etc/passwd"},
        "a list for the model": {"model": ["a"]},
        "10^6 empty lists": {"extra": [[]] * 200_000},
        **{
            f"the field {name}": {name: {"a": 1}}
            for name in ("chat_template", "mm_processor_kwargs", "media_io_kwargs", "kv_transfer_params")
        },
    }
    return {
        **{name: json.dumps({**chat, **fields}).encode() for name, fields in changed.items()},
        "10^4 images": with_parts(*[image] * 10_000),
        "an image as embeddings": with_parts({"type": "image_embeds", "image_embeds": "AAAA"}),
        "a part without a type": with_parts({"image_url": "http://169.254.169.254/"}),
        "a sound": with_parts({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
        "a video by URL": with_parts({"type": "video_url", "video_url": {"url": "file:///etc/passwd"}}),
        "broken JSON": b'{"model": "a", "messages": [',
        "no JSON": b"hello",
        "nothing": b"",
        "a number": b"3",
        "no UTF-8": b'{"model": "\xff\xfe"}',
        "lone surrogate": b'{"model": "\\ud800", "messages": [{"role": "user", "content": "x"}]}',
        "deep JSON": b'{"model": "a", "messages": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        "a number of 10^5 digits": b'{"model": "a", "n": ' + b"9" * 100_000 + b', "messages": []}',
        "a body over the limit": b'{"model": "a", "x": "' + b"x" * (33 << 20) + b'"}',
    }


def heads() -> dict[str, bytes]:
    """Raw requests by name; KEY stands for a key with the scope infer."""
    auth = b"\r\nhost: x\r\nauthorization: Bearer " + KEY + b"\r\n"
    admin = (
        *("//admin/variants", "/admin//variants", "/v1/../admin/variants", "/%61dmin/variants"),
        *("/admin%2fvariants", "/admin/variants/", "/ADMIN/variants", "/health/../admin/variants"),
        *("/admin/variants;/health", "/admin/variants?/health", "/admin/variants%00", "/\\admin\\variants"),
        *("/health%2f..%2fadmin%2fvariants", "http://x/admin/variants", "/./admin/variants"),
        *(
            "/collective_rpc",
            "/pause",
            "/v1/load_lora_adapter",
            "/invocations",
            "/static/../../../etc/passwd",
        ),
    )
    found = {f"path {path}": b"GET " + path.encode() + b" HTTP/1.1" + auth + b"\r\n" for path in admin}
    post = b"POST /v1/chat/completions HTTP/1.1" + auth + b"content-type: application/json\r\n"
    return {
        **found,
        "no key": b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
        "an empty key": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \r\n\r\n",
        "a long header": b"GET /v1/models HTTP/1.1" + auth + b"x: " + b"y" * 100_000 + b"\r\n\r\n",
        "10^4 headers": b"GET /v1/models HTTP/1.1" + auth + b"x: y\r\n" * 10_000 + b"\r\n",
        "a head without end": b"GET /v1/models HTTP/1.1" + auth + b"x: " + b"y" * 200_000,
        "a long path": b"GET /" + b"a" * 100_000 + b" HTTP/1.1" + auth + b"\r\n",
        "no HTTP": b"\x16\x03\x01\x02\0\x01\0\x01\xfc" * 10 + b"\r\n\r\n",
        "another content type": post.replace(b"application/json", b"text/plain")
        + b"content-length: 2\r\n\r\n{}",
        "a promise of too much": post + b"content-length: 99999999999\r\n\r\n{",
        "length and chunks": post + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "two lengths": post + b"content-length: 5\r\ncontent-length: 6\r\n\r\n{}{}{}",
        "a negative length": post + b"content-length: -1\r\n\r\n{}",
        "a broken chunk": post + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "too much without a length": post + b"transfer-encoding: chunked\r\n\r\n" + _chunks(34),
    }


def _chunks(count: int) -> bytes:
    return (b"100000\r\n" + b" " * (1 << 20) + b"\r\n") * count + b"0\r\n\r\n"


def _chat(url: str) -> bytes:
    part = {"type": "image_url", "image_url": {"url": url}}
    return json.dumps({"model": "a", "messages": [{"role": "user", "content": [part]}]}).encode()


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()


def _file(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + pixels


def _with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """With a chunk between the header (33 bytes with the signature) and the pixels."""
    return png[:33] + _chunk(kind, data) + png[33:]
