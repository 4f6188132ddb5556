"""Debian's Prometheus scrapes a running gateway; its rules load, evaluate and fire."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.names import dashboard_expressions, metric_names, rule_expressions

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "prometheus"
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
pytestmark = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None, reason="no Prometheus (Debian: apt-get install prometheus)"
)
WAIT_S = 60


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def post(url: str, body: dict[str, Any] | None = None) -> int:
    data = json.dumps(body or {}).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def until(what: Callable[[], Any]) -> Any:
    """The first true value; Prometheus is asked until it has scraped and evaluated."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            found = what()
        except OSError:
            found = None
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """The shipped configuration, with another target and shorter intervals; gives its URL."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    shutil.copytree(FOLDER / "rules", folder / "rules")
    port = free_port()
    assert PROMETHEUS is not None
    command = [
        PROMETHEUS,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
    ]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    with (folder / "prometheus.log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield f"http://127.0.0.1:{port}/api/v1"
        finally:
            process.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def query(api: str, expression: str) -> list[dict[str, Any]]:
    return list(get(f"{api}/query?{urllib.parse.urlencode({'query': expression})}")["data"]["result"])


def alerts(api: str) -> dict[str, str]:
    return {each["labels"]["alertname"]: each["state"] for each in get(f"{api}/alerts")["data"]["alerts"]}


def traffic(url: str) -> None:
    chat = {"model": "r", "messages": [{"role": "user", "content": "tokens=3 delay=0.01"}]}
    for number in range(12):
        body = {**chat, "user": str(number), "stream": True, "stream_options": {"include_usage": True}}
        assert post(f"{url}/v1/chat/completions", body) == 200


@pytest.mark.slow
def test_prometheus_scrapes_evaluates_and_fires(
    serve: Callable[..., Any], checkpoint: Path, tmp_path: Path
) -> None:
    variants = [{"name": name, "directory": str(checkpoint)} for name in ("a", "b")]
    routes = [{"name": "r", "arms": [{"variant": "a"}, {"variant": "b"}]}]
    file = tmp_path / "server.yaml"
    file.write_text(
        yaml.safe_dump({"variants": variants, "routes": routes, "state_dir": str(tmp_path / "state")})
    )
    server = serve(str(file))
    with prometheus(tmp_path, server.url.removeprefix("http://")) as api:
        until(lambda: len(query(api, 'up{job=~"bitloom.*"} == 1')) == 2)
        traffic(server.url)
        check_names(api, server.url)
        check_rules(api, server.url)
        assert "BitloomRollback" not in alerts(api)
        assert post(f"{server.url}/admin/experiments/r/arms/b/rollback") == 200
        until(lambda: alerts(api).get("BitloomRollback") == "firing")
        assert query(api, 'bitloom_arm_weight{variant="b"} == 0')
        server.stop()
        until(lambda: alerts(api).get("BitloomScrapeFails") == "pending")


def check_names(api: str, url: str) -> None:
    """Every gateway metric that a rule or dashboard names is in the scrape; promtool likes them all."""
    named = {
        name for name in metric_names(rule_expressions() + dashboard_expressions()) if "vllm" not in name
    }
    known = until(lambda: get(f"{api}/metadata")["data"])
    missing = [
        name
        for name in named
        if not {name, name.removesuffix("_bucket"), name.removesuffix("_sum"), name.removesuffix("_count")}
        & set(known)
    ]
    assert missing == []
    with urllib.request.urlopen(f"{url}/metrics") as response:
        scrape = response.read()
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=scrape, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def check_rules(api: str, url: str) -> None:
    rules = until(
        lambda: [rule for group in get(f"{api}/rules")["data"]["groups"] for rule in group["rules"]]
    )
    assert len(rules) == len(rule_expressions())
    until(
        lambda: all(
            rule["health"] == "ok"
            for group in get(f"{api}/rules")["data"]["groups"]
            for rule in group["rules"]
        )
    )
    failing = {"model": "r", "user": "u", "messages": [{"role": "user", "content": "status=500"}]}

    # Again and again: the first sample of a counter is no increase.
    def answers() -> Any:
        traffic(url)
        return query(api, "variant:bitloom_requests:rate5m > 0")

    def fails() -> Any:
        assert post(f"{url}/v1/chat/completions", failing) == 502
        return query(api, "variant:bitloom_error_ratio:rate5m > 0")

    until(answers)
    until(fails)
    until(lambda: query(api, 'arm:bitloom_weight:avg{experiment="r"} == 0.5'))
