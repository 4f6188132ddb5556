"""Models, health, readiness and metrics."""

from __future__ import annotations

from typing import Any


async def test_models(connect: Any) -> None:
    served = await connect("a", "b")
    async with served.http.get("/v1/models") as response:
        document = await response.json()
    assert document["object"] == "list"
    assert [model["id"] for model in document["data"]] == ["a", "b"]
    assert all(set(model) == {"id", "object", "created", "owned_by"} for model in document["data"])
    async with served.http.get("/v1/models/b") as response:
        assert await response.json() == document["data"][1]


async def test_readiness_follows_the_workers(connect: Any) -> None:
    served = await connect("a", "b", timeouts={"health_interval_s": 0.02, "health_s": 1})
    async with served.http.get("/ready") as response:
        assert response.status == 200
        assert await response.json() == {"status": "ready", "variants": {"a": "ready", "b": "ready"}}
    served.engines["b"].is_healthy = False
    worker = served.gateway.supervisor.workers["b"]
    await served.until(lambda: worker.state == "restarting")
    async with served.http.get("/ready") as response:
        assert response.status == 503
        assert (await response.json())["variants"] == {"a": "ready", "b": "restarting"}
    async with served.http.get("/health") as response:
        assert response.status == 200
    status, document = await served.chat("x", model="b")
    assert (status, document["error"]["code"]) == (503, "worker_unavailable")
    assert (await served.chat("x", model="a"))[0] == 200
    served.engines["b"].is_healthy = True
    await served.until(lambda: worker.state == "ready")
    assert (await served.chat("x", model="b"))[0] == 200


async def test_metrics_are_prometheus_text(connect: Any) -> None:
    served = await connect("a")
    await served.stream("tokens=3")
    async with served.http.get("/metrics") as response:
        assert response.headers["content-type"].startswith("text/plain")
        text = await response.text()
    assert 'bitloom_variant_state{state="ready",variant="a"} 1.0' in text
    assert "bitloom_time_to_first_token_seconds_bucket" in text
    assert "vllm:" not in text


async def test_the_workers_metrics_carry_their_variant(connect: Any) -> None:
    served = await connect("a", "b")
    await served.chat("x", model="b")
    async with served.http.get("/metrics/workers") as response:
        lines = (await response.text()).splitlines()
    assert lines[:3] == [
        "# TYPE stub_requests_total counter",
        'stub_requests_total{variant="a"} 0',
        'stub_requests_total{variant="b"} 1',
    ]
    # What it says of its memory stands in families of their own, by variant too.
    names = ("bitloom_worker_weight_bytes", "bitloom_worker_loaded_resident_bytes")
    assert {line.partition("}")[0].partition(",")[0] for line in lines[3:]} == {
        f'{name}{{variant="{variant}"' for name in names for variant in "ab"
    }
