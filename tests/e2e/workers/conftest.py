"""Real worker processes on mixed variants of the zoo's models, and what is asked of them."""

from __future__ import annotations

import base64
import io
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from bitloom.plan import Plan, Rule
from bitloom.variant import Engine
from quantize.pipeline import quantize
from server.workers.command import WorkerOptions, worker_command
from zoo.scenes import scene

ZOO = Path(os.environ.get("BITLOOM_ZOO", Path(__file__).parents[3] / "zoo"))
START_S, STOP_S, ANSWER_S = 600.0, 60.0, 120.0
FLOAT32 = WorkerOptions(dtype="float32", max_model_len=256)

EVERYTHING = Rule(bits=8, method="rtn", group_size=64)
LLAVA_RULES = (
    EVERYTHING,
    Rule(component="vision", group_size="channel"),
    Rule(component="vision", blocks="0", bits=2, group_size=32),
    Rule(component="vision", blocks="1", bits=3, group_size=64),
    Rule(component="vision", blocks="2", bits=5, group_size=128, symmetric=False),
    Rule(component="connector", bits=6, group_size=64),
    Rule(component="language", blocks="0", bits=7, group_size=32),
    Rule(component="language", blocks="1", bits=4, group_size=64, symmetric=False),
    Rule(component="language", blocks="2", bits=3, group_size=128),
    Rule(component="language", blocks="3", bits=6, group_size="channel"),
    Rule(component="language", layers="head", bits=8, group_size=64),
)
BLIP2_RULES = (
    EVERYTHING,
    Rule(component="connector", bits=16),
    Rule(component="vision", blocks="0", bits=3, group_size=32),
    Rule(component="vision", blocks="1", bits=5, group_size=128, symmetric=False),
    Rule(component="vision", blocks="2", bits=6, group_size="channel"),
    Rule(component="language", blocks="0", bits=4, group_size=64),
    Rule(component="language", blocks="1", bits=7, group_size=128),
    Rule(component="language", blocks="2", bits=2, group_size=32),
)


@dataclass(frozen=True, slots=True)
class Worker:
    """A running worker and a client of its socket."""

    process: psutil.Popen
    client: httpx.Client
    socket: Path

    def chat(self, **fields: Any) -> dict[str, Any]:
        """The answer to a chat request."""
        response = self.client.post("/v1/chat/completions", json={"model": "mixed", **fields})
        assert response.status_code == 200, response.text
        document: dict[str, Any] = response.json()
        return document

    def descendants(self) -> list[psutil.Process]:
        """The processes that it started."""
        children: list[psutil.Process] = self.process.children(recursive=True)
        return children


StartWorker = Callable[[Engine, Path], Worker]


@contextmanager
def running(engine: Engine, directory: Path, folder: Path, options: WorkerOptions) -> Iterator[Worker]:
    """A worker that answers; on leaving, it must end cleanly and leave no process behind."""
    path = folder / "w.sock"
    command = worker_command(engine, directory, "mixed", path, options)
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = psutil.Popen(
            command.argv,
            env={**os.environ, **command.env},
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[3],
            start_new_session=True,  # as the supervisor does
        )
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(transport=transport, base_url="http://worker", timeout=ANSWER_S) as client:
        worker = Worker(process, client, path)
        try:
            _await_health(worker, log)
            yield worker
            if process.poll() is None:
                family = [process, *worker.descendants()]
                process.send_signal(signal.SIGTERM)
                assert process.wait(STOP_S) == 0, log.read_text()
                assert not psutil.wait_procs(family, timeout=STOP_S)[1]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(STOP_S)


def _await_health(worker: Worker, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert worker.process.poll() is None, log.read_text()
        if _listens(worker.socket) and worker.client.get("/health").status_code == 200:
            return
        time.sleep(0.1)
    raise AssertionError(f"no answer within {START_S} s:\n{log.read_text()}")


def _listens(path: Path) -> bool:
    """Asked with a socket of our own: httpx leaves the one of a refused connection open."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _variant(name: str, rules: tuple[Rule, ...], folder: Path) -> Path:
    plan = Plan(name=f"mixed-{name}", base=str(ZOO / name), rules=rules)
    quantize(plan, folder / name)
    return folder / name


@pytest.fixture(scope="session")
def llava_variant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny-llava with 2..8 bits in all components, projector and head included."""
    return _variant("tiny-llava", LLAVA_RULES, tmp_path_factory.mktemp("variants"))


@pytest.fixture(scope="session")
def blip2_variant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny-blip2 with 2..8 bits in vision and language."""
    return _variant("tiny-blip2", BLIP2_RULES, tmp_path_factory.mktemp("variants"))


@pytest.fixture(scope="session")
def vllm_llava(llava_variant: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The vLLM worker on the LLaVA variant, float32."""
    with running("vllm", llava_variant, tmp_path_factory.mktemp("w"), FLOAT32) as worker:
        yield worker


@pytest.fixture(scope="session")
def vllm_blip2(blip2_variant: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The vLLM worker on the BLIP-2 variant, float32."""
    with running("vllm", blip2_variant, tmp_path_factory.mktemp("w"), FLOAT32) as worker:
        yield worker


@pytest.fixture(scope="session")
def transformers_llava(llava_variant: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The transformers worker on the LLaVA variant, float32."""
    with running("transformers", llava_variant, tmp_path_factory.mktemp("w"), FLOAT32) as worker:
        yield worker


@pytest.fixture
def start(tmp_path: Path) -> Callable[[Engine, Path], Any]:
    """Starts a worker of its own for one test: a context manager."""
    return lambda engine, directory: running(engine, directory, tmp_path, FLOAT32)


@pytest.fixture(scope="session")
def scenes() -> list[Image.Image]:
    """Images of the test split."""
    return [scene("test", index).render() for index in range(4)]


@pytest.fixture(scope="session")
def ask() -> Callable[[Image.Image, str], list[dict[str, Any]]]:
    """Messages that ask a question about an image."""

    def messages(image: Image.Image, text: str) -> list[dict[str, Any]]:
        content = io.BytesIO()
        image.save(content, "PNG")
        url = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
        parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
        return [{"role": "user", "content": parts}]

    return messages
