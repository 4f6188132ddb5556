"""Another checkpoint under a variant's name while it serves: nothing lost, nothing mixed."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Serve = Callable[..., Any]


def call(url: str, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> tuple[int, Any]:
    data = None if method != "POST" else json.dumps(body or {}).encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def weights_of(url: str, model: str = "a") -> set[str]:
    """The weights that made each chunk of one streamed answer, which must be whole."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "tokens=6 delay=0.02"}]}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        events = response.read().decode().strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    assert len(events) == 8
    return {Path(json.loads(each.removeprefix("data: "))["system_fingerprint"]).name for each in events[:-1]}


@contextmanager
def load(url: str, clients: int = 8) -> Iterator[list[set[str]]]:
    """Clients that ask without a pause; the weights behind each of their answers."""
    seen: list[set[str]] = []
    faults: list[Exception] = []
    is_over = threading.Event()

    def ask() -> None:
        try:
            while not is_over.is_set():
                seen.append(weights_of(url))
        except (OSError, AssertionError, ValueError) as fault:  # raised again in the test's own thread
            faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        for thread in threads:
            thread.join(60)
    if faults:
        raise faults[0]


@pytest.fixture
def other(checkpoint: Path) -> Path:
    return Path(shutil.copytree(checkpoint, checkpoint.parent / "other"))


@pytest.fixture
def wider(checkpoint: Path) -> Path:
    """Another layout."""
    directory = Path(shutil.copytree(checkpoint, checkpoint.parent / "wider"))
    tensor = {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    header = json.dumps(tensor).encode()
    weights = len(header).to_bytes(8, "little") + header + b"\0\0\0\0"
    (directory / "model.safetensors").write_bytes(weights)
    return directory


def test_the_same_layout_goes_in_place(serve: Serve, checkpoint: Path, other: Path) -> None:
    server = serve(f"a={checkpoint}")
    process = server.worker("a")
    with load(server.url) as seen:
        for target in (other, checkpoint, other):
            time.sleep(0.3)
            status, answer = call(server.url, "/admin/variants/a/swap", {"directory": str(target)})
            assert (status, answer["way"], answer["directory"]) == (200, "in_place", str(target))
            assert weights_of(server.url) == {target.name}
    assert server.worker("a").pid == process.pid
    assert len(seen) > 20
    assert all(len(weights) == 1 for weights in seen)
    assert {name for weights in seen for name in weights} == {"model", "other"}
    _check_an_engine_that_dies_of_the_weights(server.url, checkpoint)


def _check_an_engine_that_dies_of_the_weights(url: str, checkpoint: Path) -> None:
    """It comes back with those it had."""
    broken = shutil.copytree(checkpoint, checkpoint.parent / "broken")
    status, answer = call(url, "/admin/variants/a/swap", {"directory": str(broken)})
    assert (status, answer["error"]["code"]) == (502, "worker_failed")
    deadline = time.monotonic() + 60
    while call(url, "/admin/variants/a", method="GET")[1]["state"] != "ready":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert weights_of(url) == {"other"}


def test_another_layout_goes_through_a_second_worker(serve: Serve, checkpoint: Path, wider: Path) -> None:
    server = serve(f"a={checkpoint}")
    process = server.worker("a")
    with load(server.url) as seen:
        time.sleep(0.3)
        status, answer = call(server.url, "/admin/variants/a/swap", {"directory": str(wider)})
        assert (status, answer["way"]) == (200, "second_worker")
        assert weights_of(server.url) == {"wider"}
    process.wait(10)
    assert all(len(weights) == 1 for weights in seen)
    assert {name for weights in seen for name in weights} == {"model", "wider"}


@pytest.mark.slow
def test_a_second_worker_that_does_not_start_changes_nothing(
    serve: Serve, checkpoint: Path, wider: Path
) -> None:
    script = "case {directory} in *wider) exit 3;; esac; exec "
    script += (
        f"{sys.executable} -m server.stub_engine --socket {{socket}} --name {{name}} --weights {{directory}}"
    )
    command = ["sh", "-c", script]
    server = serve(f"a={checkpoint}", command=command)
    status, answer = call(server.url, "/admin/variants/a/swap", {"directory": str(wider)})
    assert (status, answer["error"]["code"]) == (502, "worker_failed")
    assert "ended with code 3" in answer["error"]["message"]
    assert weights_of(server.url) == {"model"}


@pytest.mark.slow
def test_variants_come_go_and_come_back(serve: Serve, checkpoint: Path, other: Path) -> None:
    server = serve(f"a={checkpoint}")
    status, answer = call(server.url, "/admin/variants", {"name": "b", "directory": str(other)})
    assert (status, answer["state"]) == (200, "ready")
    assert weights_of(server.url, "b") == {"other"}
    assert call(server.url, "/admin/variants", {"name": "b", "directory": str(other)})[0] == 409
    process = server.worker("b")
    status, answer = call(server.url, "/admin/variants/b/unload")
    assert (status, answer["state"], answer["unfinished"]) == (200, "unloaded", 0)
    process.wait(10)
    chat = {"model": "b", "messages": [{"role": "user", "content": "x"}]}
    assert call(server.url, "/v1/chat/completions", chat)[0] == 503
    assert call(server.url, "/ready", method="GET")[0] == 200
    assert call(server.url, "/admin/variants/b/load")[1]["state"] == "ready"
    assert weights_of(server.url, "b") == {"other"}
    assert call(server.url, "/admin/variants/b", method="DELETE")[0] == 200
    assert call(server.url, "/v1/chat/completions", chat)[0] == 404
    _check_a_drain(server.url)


def _check_a_drain(url: str) -> None:
    """What runs is finished, the rest refused, until the variant is loaded again."""
    results: list[set[str]] = []
    thread = threading.Thread(target=lambda: results.append(weights_of(url)))
    thread.start()
    while call(url, "/admin/variants/a", method="GET")[1]["outstanding"] == 0 and not results:
        time.sleep(0.005)
    status, answer = call(url, "/admin/variants/a/drain")
    assert (status, answer["state"], answer["unfinished"]) == (200, "draining", 0)
    thread.join(10)
    assert results == [{"model"}]
    chat = {"model": "a", "messages": [{"role": "user", "content": "x"}]}
    assert call(url, "/v1/chat/completions", chat)[0] == 503
    call(url, "/admin/variants/a/load")
    assert call(url, "/v1/chat/completions", chat)[0] == 200


def write_sizes(*directories: Path) -> None:
    """Give stubs a configuration whose needs can be computed: 700 MiB for the engine, 64 for the cache."""
    text = {"model_type": "llama", "num_hidden_layers": 1, "num_attention_heads": 4, "hidden_size": 256}
    text |= {"intermediate_size": 512, "vocab_size": 512, "max_position_embeddings": 2048}
    config = {"architectures": ["LlavaForConditionalGeneration"], "text_config": text}
    for directory in directories:
        (directory / "config.json").write_text(json.dumps(config))


@pytest.mark.slow
def test_an_evicted_variant_comes_back_when_it_is_asked_for(
    serve: Serve, checkpoint: Path, other: Path
) -> None:
    write_sizes(checkpoint, other)
    budget = {"BITLOOM_SERVE_PLACEMENT": "{memory_bytes: 1800000000, evict: true}"}
    server = serve(f"a={checkpoint}", f"b={checkpoint}", **budget)
    weights_of(server.url, "a")
    assert call(server.url, "/admin/variants", {"name": "c", "directory": str(other)})[0] == 200
    assert call(server.url, "/admin/variants/b", method="GET")[1]["state"] == "unloaded"
    with ThreadPoolExecutor(6) as clients:
        answers = [*clients.map(lambda _: weights_of(server.url, "b"), range(6))]
    assert answers == [{"model"}] * 6
    states = {each: call(server.url, f"/admin/variants/{each}", method="GET")[1]["state"] for each in "abc"}
    assert states == {"a": "unloaded", "b": "ready", "c": "ready"}

    def chat(model: str, text: str = "x") -> tuple[int, Any]:
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        return call(server.url, "/v1/chat/completions", body)

    with ThreadPoolExecutor(2) as clients:
        busy = [clients.submit(chat, each, "tokens=30 delay=0.1") for each in "bc"]
        time.sleep(0.5)
        status, answer = chat("a")  # nobody can leave
        assert (status, answer["error"]["code"]) == (503, "worker_unavailable")
        assert [each.result()[0] for each in busy] == [200, 200]
    # What an operator has unloaded stays so.
    call(server.url, "/admin/variants/a/unload")
    assert chat("a")[0] == 503


@pytest.mark.slow
def test_what_does_not_fit_evicts_the_idle_or_is_refused(serve: Serve, checkpoint: Path, other: Path) -> None:
    write_sizes(checkpoint, other)
    # Each needs 700 MiB for the engine, 64 for the cache and some: two fit, three do not.
    budget = {"BITLOOM_SERVE_PLACEMENT": "{memory_bytes: 1800000000, evict: true}"}
    server = serve(f"a={checkpoint}", f"b={checkpoint}", **budget)
    weights_of(server.url, "a")
    status, answer = call(server.url, "/admin/variants", {"name": "c", "directory": str(other)})
    assert (status, answer["state"]) == (200, "ready")
    listed = call(server.url, "/admin/variants", method="GET")[1]["variants"]
    assert {each["name"]: each["state"] for each in listed} == {"a": "ready", "b": "unloaded", "c": "ready"}
    with urllib.request.urlopen(f"{server.url}/metrics") as response:
        assert 'bitloom_evictions_total{variant="b"} 1.0' in response.read().decode()
    (other / "model.safetensors").write_bytes(b"")
    with (other / "model.safetensors").open("wb") as weights:
        header = json.dumps({"w": {"dtype": "U8", "shape": [1 << 31], "data_offsets": [0, 1 << 31]}}).encode()
        weights.write(len(header).to_bytes(8, "little") + header)
        weights.truncate(8 + len(header) + (1 << 31))
    status, answer = call(server.url, "/admin/variants", {"name": "d", "directory": str(other)})
    assert (status, answer["error"]["code"]) == (409, "does_not_fit")
    assert "d: weights 2,049 + KV cache" in answer["error"]["message"]
    assert "MiB free" in answer["error"]["message"]
    assert call(server.url, "/admin/variants/a", method="GET")[1]["state"] == "ready"
