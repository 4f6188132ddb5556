"""The hostile corpus against a real gateway: refused within a second, in bounded memory, at no worker."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from server.keys import create_key
from tests.hostile.corpus import KEY, bodies, heads

MAX_S = 1.0
MAX_GROWTH_BYTES = 400 << 20
WORDS = ("Traceback", "PIL", "cannot identify", "libpng", "passwd", "zlib")


def exchange(url: str, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to raw bytes, however rudely the connection ends."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=20) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        received = b""
        with suppress(ConnectionResetError):
            while not _is_whole(received) and (piece := connection.recv(65536)):
                received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return bool(end) and length is not None and len(body) >= int(length[1])


def post(body: bytes) -> bytes:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + KEY
    head += f"\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    return head + body


def test_the_corpus(serve: Callable[..., Any], checkpoint: Path, tmp_path: Path) -> None:
    """Time is the gateway's own processor time, so that a busy machine fails nothing."""
    secret = create_key(tmp_path / "keys.json", "client", ("infer",)).encode()
    fetching = {"BITLOOM_SERVE_FETCH__ENABLED": "true"}
    server = serve(f"a={checkpoint}", "--keys-file", str(tmp_path / "keys.json"), **fetching)
    gateway = psutil.Process(server.process.pid)
    requests = {**{name: post(body) for name, body in bodies().items()}, **heads()}
    assert len(requests) > 100
    exchange(server.url, post(b"{}").replace(KEY, secret))
    before, most = gateway.memory_info().rss, 0
    wrong = []
    for name, request in requests.items():
        used = sum(gateway.cpu_times()[:2])
        status, body = exchange(server.url, request.replace(KEY, secret))
        used = sum(gateway.cpu_times()[:2]) - used
        most = max(most, gateway.memory_info().rss)
        if not 400 <= status < 500 or used > MAX_S or any(word in body.decode() for word in WORDS):
            wrong.append((name, status, round(used, 2), body[:200]))
    assert not wrong
    chat = {"model": "a", "messages": [{"role": "user", "content": "x"}]}
    assert most - before < MAX_GROWTH_BYTES
    with urllib.request.urlopen(f"{server.url}/metrics/workers") as response:
        assert 'stub_requests_total{variant="a"} 0' in response.read().decode()
    honest = post(json.dumps(chat).encode()).replace(KEY, secret)
    assert exchange(server.url, honest)[0] == 200
