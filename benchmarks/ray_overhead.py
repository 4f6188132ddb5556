"""What Ray Serve costs before the same variant: latency of a short answer, and streams a second.

Both gateways stand before stub engines (64 tokens a stream, one every 10 ms) and are asked in turns, so that
both see the same machine; medians over the rounds count. Ray runs in an environment of its own
(`python deploy/tools.py ray`). The bar is that every stream comes whole; the figures are for choosing.
`python -m benchmarks.ray_overhead`
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.gateway import opened, running_gateway, running_stub, seconds_of, stream
from benchmarks.harness import Figures
from deploy.ray.local import running
from deploy.tools import interpreter, make

ROUNDS = 3
REQUESTS = 50
STREAMS = 32
SCRIPT = "tokens=64 delay=0.01"


def main() -> int:
    """Measure, print, and give the exit code."""
    make("ray")
    python = interpreter("ray")
    assert python is not None
    with tempfile.TemporaryDirectory(prefix="bl-") as name:
        folder = Path(name)
        config = write_config(folder, python)
        with (
            running_stub(folder / "stub.sock"),
            running_gateway(folder / "stub.sock") as (_, plain_url),
            running(python, config, folder / "ray.log") as ray_url,
        ):
            plain, on_ray, broken = asyncio.run(measure(plain_url, ray_url))
    return Figures(
        "ray_overhead",
        {
            "p50 of a one-token answer, plain gateway, ms": plain[0],
            "p50 of a one-token answer, Ray Serve, ms": on_ray[0],
            f"streams a second at {STREAMS}, plain gateway": plain[1],
            f"streams a second at {STREAMS}, Ray Serve": on_ray[1],
            "Ray's share of the plain gateway's streams": on_ray[1] / plain[1],
            "streams that did not come whole": broken,
        },
        "no stream is lost",
        broken == 0,
    ).close()


def write_config(folder: Path, python: Path) -> Path:
    """One stub variant on two replicas, as the plain gateway has one stub: the engine is never the limit."""
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text('{"architectures": ["LlavaForConditionalGeneration"]}')
    (model / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    stub = [str(python), "-m", "server.stub_engine", "--socket", "{socket}", "--name", "{name}"]
    server = {"variants": [{"name": "stub", "directory": str(model)}], "command": stub}
    (folder / "ray-server.yaml").write_text(json.dumps(server))
    spread = {"replicas": 2, "max_ongoing_requests": 64, "max_queued_requests": 64, "num_cpus": 0.2}
    config = folder / "ray.yaml"
    config.write_text(
        json.dumps({"server": "ray-server.yaml", "gateway_cpus": 0.2, "variants": {"stub": spread}})
    )
    return config


async def measure(plain_url: str, ray_url: str) -> tuple[tuple[float, float], tuple[float, float], int]:
    """(p50 in ms, streams a second) of both, and the number of streams that broke."""
    latencies: tuple[list[float], list[float]] = ([], [])
    rates: tuple[list[float], list[float]] = ([], [])
    broken = 0
    async with opened(plain_url) as plain, opened(ray_url) as on_ray:
        for _ in range(ROUNDS):
            for index, session in enumerate((plain, on_ray)):
                seconds = [await seconds_of(session, "tokens=1") for _ in range(REQUESTS)]
                latencies[index].append(1000 * statistics.median(seconds))
                rate, lost = await streams_per_second(session)
                rates[index].append(rate)
                broken += lost
    first, second = (
        (statistics.median(latency), statistics.median(rate))
        for latency, rate in zip(latencies, rates, strict=True)
    )
    return first, second, broken


async def streams_per_second(session: aiohttp.ClientSession) -> tuple[float, int]:
    """Rate of streams that run side by side, and how many broke."""
    started = time.perf_counter()
    done = await asyncio.gather(*(stream(session, SCRIPT) for _ in range(STREAMS)), return_exceptions=True)
    return STREAMS / (time.perf_counter() - started), sum(1 for each in done if each is not True)


if __name__ == "__main__":
    sys.exit(main())
