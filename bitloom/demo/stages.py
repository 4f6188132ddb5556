"""The demo's stages, each one a `bitloom` command in a process of its own."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bitloom.demo.table import Difference
from bitloom.errors import BitloomError, WorkerError
from bitloom.variant import Footprint

logger = logging.getLogger(__name__)

BITLOOM = (sys.executable, "-m", "bitloom")
READY_TIMEOUT_S = 300.0
STDERR = 2
STOP_TIMEOUT_S = 30.0


def quantize(plan: Path, out: Path, *, root: Path) -> None:
    """Make a variant; `root` is the directory that the plan's base is relative to."""
    _run("quantize", str(plan), "--out", str(out), cwd=root)


def evaluate(endpoint: str, model: str, out: Path, *, data: str, samples: str, root: Path) -> None:
    """Evaluate one model on a data set."""
    arguments = ("--endpoint", endpoint, "--model", model, "--data", data, "--out", str(out))
    _run("eval", *arguments, "--samples", samples, cwd=root)


def report(runs: Sequence[Path], variants: dict[str, Path], out: Path, *, root: Path) -> None:
    """Write the HTML report and its pictures."""
    named = [part for name, path in variants.items() for part in ("--variant", f"{name}={path}")]
    _run("report", *map(str, runs), *named, "--out", str(out), cwd=root)


def compare(base: Path, run: Path, *, root: Path) -> list[Difference]:
    """What `bitloom compare` says of the first score of each task that both runs have."""
    document = json.loads(_output("compare", str(base), str(run), "--json", cwd=root))
    return [
        Difference(each["name"], each["difference"], each["low"], each["high"], each["outcome"])
        for each in document["metrics"]
        if each["is_primary"]
    ]


@contextmanager
def serving(models: dict[str, Path], *, log: Path, root: Path) -> Iterator[str]:
    """Serve `models` (name to directory) through one gateway; yield its URL once all are ready."""
    port = free_port()
    named = [f"{name}={path}" for name, path in models.items()]
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        gateway = subprocess.Popen(
            [*BITLOOM, "serve", *named, "--port", str(port)], stdout=output, stderr=output, cwd=root
        )
        try:
            _wait_until_ready(gateway, url, log)
            yield url
        finally:
            _stop(gateway)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def inspect(directory: Path, *, root: Path) -> Footprint:
    """Size of a variant or a dense checkpoint, all components together."""
    document = json.loads(_output("inspect", str(directory), "--json", cwd=root))
    return Footprint.parse(document["total"], source=f"bitloom inspect {directory}")


def _run(*arguments: str, cwd: Path) -> None:
    # What stages say is about progress; standard output is for the answer of the command that runs them.
    done = subprocess.run([*BITLOOM, *arguments], cwd=cwd, check=False, stdout=STDERR)
    if done.returncode != 0:
        raise BitloomError(f"`bitloom {' '.join(arguments)}` ended with exit code {done.returncode}")


def _output(*arguments: str, cwd: Path) -> str:
    done = subprocess.run([*BITLOOM, *arguments], capture_output=True, text=True, cwd=cwd, check=False)
    if done.returncode != 0:
        raise BitloomError(f"`bitloom {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


def _wait_until_ready(gateway: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if gateway.poll() is not None:
            tail = log.read_text(errors="replace")[-2000:]
            raise WorkerError(f"the gateway ended with exit code {gateway.returncode}:\n{tail}")
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
    raise WorkerError(f"the variants were not ready after {READY_TIMEOUT_S:.0f} s; see {log}")


def _stop(gateway: subprocess.Popen[bytes]) -> None:
    gateway.send_signal(signal.SIGTERM)
    try:
        gateway.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        logger.warning("the gateway did not stop within %.0f s and is killed", STOP_TIMEOUT_S)
        gateway.kill()
        gateway.wait()
