"""Ray and the app on this machine alone, on ports of their own, for tests and benchmarks.

`python -m deploy.ray.local CONFIG PORT FOLDER` runs in Ray's environment until SIGINT; `running` starts that
from any Python. It does what `ray start --head` and `serve run deploy.ray.app:app config=CONFIG` do.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bitloom.errors import WorkerError

ROOT = Path(__file__).resolve().parents[2]
START_S = 300
STOP_S = 60
# Ray gives its agent 15 s to start, which a busy machine may not have.
TRIES = 4
OBJECT_STORE_BYTES = 100 << 20
# Ray's own switches, read when its processes start; docs/deploy.md says what each does.
FAST = {
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_worker_niceness": "0",
}
# Serve gives its proxy 5 s to answer and then kills it, three times over; a busy machine may need longer.
PATIENT = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60", "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60"}


@contextmanager
def running(python: Path, config: Path, log: Path) -> Iterator[str]:
    """URL of the app, when every variant is ready; WorkerError where it does not come up in time."""
    port = free_port()
    # Ray's sockets lie in it, and a socket's path may have 107 bytes. Its token file goes to HOME.
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        quiet = {"PYTHONPATH": str(ROOT), "HOME": folder, "RAY_USAGE_STATS_ENABLED": "0"}
        env = {**FAST, **PATIENT, **os.environ, **quiet}
        command = [str(python), "-m", "deploy.ray.local", str(config), str(port), folder]
        with log.open("w") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True
            )
            try:
                url = f"http://127.0.0.1:{port}"
                _wait(process, url, log)
                yield url
            finally:
                _stop(process)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not _is_ready(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise WorkerError(f"Ray did not come up: {log.read_text(encoding='utf-8')[-4000:]}")
        time.sleep(0.5)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> int:
    """Run until SIGINT."""
    import ray
    from deploy.ray.app import app
    from ray import serve

    config, port, folder = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    for attempt in range(1, TRIES + 1):
        try:
            ray.init(
                num_cpus=4,
                include_dashboard=False,
                _temp_dir=f"{folder}/{attempt}",
                object_store_memory=OBJECT_STORE_BYTES,
            )
            break
        # Ray raises a bare Exception where its processes are slow to start.
        except Exception:
            ray.shutdown()
            if attempt == TRIES:
                raise
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(app({"config": config}), name="bitloom")
    stop.wait()
    serve.shutdown()
    ray.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
