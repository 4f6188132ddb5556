"""The life of `bitloom serve`: losses under load, drain, and nothing left behind."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

Serve = Callable[..., Any]


def ask(url: str, model: str, text: str = "tokens=4 delay=0.02", *, stream: bool = False) -> tuple[int, Any]:
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            raw = response.read()
            return response.status, raw if stream else json.loads(raw)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive


def test_a_worker_killed_under_load(serve: Serve, checkpoint: Path) -> None:
    server = serve(f"a={checkpoint}", f"b={checkpoint}")
    stop_at = time.monotonic() + 3
    answers: dict[str, list[tuple[int, Any]]] = {"a": [], "b": []}

    def load(name: str) -> None:
        while time.monotonic() < stop_at:
            answers[name].append(ask(server.url, name))
            time.sleep(0.01)

    with ThreadPoolExecutor(8) as clients:
        running = [clients.submit(load, name) for name in "aabb" for _ in range(2)]
        time.sleep(0.5)
        server.worker("b").kill()
        for each in running:
            each.result()
    assert {status for status, _ in answers["a"]} == {200}
    statuses = Counter(status for status, _ in answers["b"])
    assert statuses[200] > 0
    assert statuses[502] > 0  # those in flight
    assert set(statuses) <= {200, 502, 503}
    for status, document in answers["b"]:
        if status != 200:
            assert set(document["error"]) == {"message", "type", "param", "code"}
            assert document["error"]["code"] in {"worker_lost", "worker_unavailable"}
    deadline = time.monotonic() + 60
    while ask(server.url, "b")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with urllib.request.urlopen(f"{server.url}/metrics") as response:
        assert 'bitloom_worker_restarts_total{variant="b"} 1.0' in response.read().decode()


def test_a_stream_whose_worker_dies_ends_in_an_error_event(serve: Serve, checkpoint: Path) -> None:
    server = serve(f"a={checkpoint}")
    with ThreadPoolExecutor(1) as client:
        stream = client.submit(ask, server.url, "a", "tokens=500 delay=0.02", stream=True)
        time.sleep(1.0)
        server.worker("a").kill()
        status, body = stream.result(30)
    assert status == 200
    assert b"word0" in body
    assert b"[DONE]" not in body
    assert json.loads(body.strip().rpartition(b"data: ")[2])["error"]["code"] == "worker_lost"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_then_stops_everything(
    serve: Serve, checkpoint: Path, number: signal.Signals
) -> None:
    server = serve(f"a={checkpoint}", f"b={checkpoint}")
    workers = [server.worker(name) for name in ("a", "b")]
    with ThreadPoolExecutor(1) as client:
        running = client.submit(ask, server.url, "a", "tokens=20 delay=0.05", stream=True)
        time.sleep(0.5)
        assert server.stop(number) == 0
        status, body = running.result(10)
    assert status == 200
    assert body.endswith(b"data: [DONE]\n\n")
    until_gone(workers)


def test_no_worker_outlives_a_killed_gateway(serve: Serve, checkpoint: Path) -> None:
    server = serve(f"a={checkpoint}", f"b={checkpoint}")
    workers = [server.worker(name) for name in ("a", "b")]
    server.stop(signal.SIGKILL)
    until_gone(workers)
