"""What outlives a kill, and a reload by signal, with real processes."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.experiments.assignment import draw_arm
from server.experiments.config import RouteConfig

ARMS = [{"variant": "a"}, {"variant": "b"}]
GUARD = {"error_rate": 0.2, "min_requests": 5}


def write_config(path: Path, checkpoint: Path, **settings: Any) -> Path:
    variants = [{"name": name, "directory": str(checkpoint)} for name in ("a", "b")]
    path.write_text(json.dumps({"variants": variants, **settings}))
    return path


def ask(url: str, text: str, user: str, model: str = "r") -> tuple[int, str | None]:
    """Status, and the variant that answered."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "user": user}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.headers["x-bitloom-variant"]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["x-bitloom-variant"]


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


@pytest.fixture
def users() -> list[str]:
    """Users of arm b."""
    route = RouteConfig.model_validate({"name": "r", "arms": ARMS})
    return [user for user in map(str, range(100)) if draw_arm(route, user) == "b"][:6]


def test_a_rollback_outlives_a_killed_gateway(
    serve: Any, checkpoint: Path, tmp_path: Path, users: list[str]
) -> None:
    route = {"name": "r", "arms": ARMS, "guardrails": GUARD}
    config = write_config(tmp_path / "c.yaml", checkpoint, routes=[route], state_dir=str(tmp_path / "s"))
    server = serve(str(config))
    # As many as a judgement needs: on a slow machine it could come before one more.
    assert [ask(server.url, "status=500", user) for user in users[:5]] == [(502, "b")] * 5
    assert eventually(lambda: ask(server.url, "tokens=1", users[0]) == (200, "a"))
    time.sleep(1)  # a tick, in which the rollback reaches the disk
    server.stop(signal.SIGKILL)
    again = serve(str(config))
    assert [ask(again.url, "tokens=1", user) for user in users] == [(200, "a")] * 6
    assert again.stop() == 0


def test_a_signal_reads_the_configuration_again(serve: Any, checkpoint: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.yaml", checkpoint, routes=[{"name": "r", "arms": ARMS[:1]}])
    server = serve(str(config))
    assert ask(server.url, "tokens=1", "u") == (200, "a")
    config.write_text("nonsense: [")
    server.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: "stays as it was" in (tmp_path / "gateway.log").read_text())
    assert ask(server.url, "tokens=1", "u") == (200, "a")
    write_config(config, checkpoint, routes=[{"name": "r", "arms": ARMS[1:]}])
    server.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: ask(server.url, "tokens=1", "u") == (200, "b"))
    assert server.stop() == 0
