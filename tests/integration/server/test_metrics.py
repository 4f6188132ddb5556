"""What a request leaves in the metrics: tokens, times, faults; and nothing that names a user."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

USAGE = {"stream_options": {"include_usage": True}}


def count_of(served: Any, name: str, **labels: str) -> float:
    value: float = served.metric(f"{name}_seconds_count", **labels)
    return value


async def test_a_stream_is_timed_and_its_tokens_counted(connect: Any) -> None:
    served = await connect("a")
    await served.stream("tokens=5 delay=0.01", **USAGE)
    labels = {"route": "a", "variant": "a"}
    assert served.metric("prompt_tokens_total", variant="a") == 7
    assert served.metric("generated_tokens_total", variant="a") == 5
    for name, count in (
        ("time_to_first_token", 1),
        ("inter_token_latency", 4),
        ("time_per_output_token", 1),
        ("request_latency", 1),
        ("gateway_overhead", 1),
    ):
        assert count_of(served, name, **labels) == count, name
    await served.until(lambda: served.metric("requests_in_flight", variant="a") == 0)


async def test_image_tokens_are_counted_where_they_are_told(connect: Any) -> None:
    served = await connect("a")
    await served.stream("tokens=2 images=576", **USAGE)
    await served.chat("tokens=2 images=100")
    await served.chat("tokens=2")
    assert served.metric("image_tokens_total", variant="a") == 676


async def test_images_are_timed(connect: Any) -> None:
    served = await connect("a")
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    parts = [{"type": "text", "text": "tokens=1"}, {"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "a", "messages": [{"role": "user", "content": parts}]}
    async with served.http.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200
    assert served.metric("image_decode_seconds_count") == 1


async def test_faults_have_counts_of_their_own(connect: Any) -> None:
    served = await connect("a")
    await served.stream("tokens=4 error=2")
    await served.stream("tokens=4 empty=1")
    await served.chat("tokens=1", model="nothing")
    assert served.metric("stream_errors_total", variant="a") == 1
    assert served.metric("empty_outputs_total", variant="a") == 1
    assert served.metric("requests_rejected_total", reason="model_not_found") == 1


async def test_nobody_is_named(connect: Any) -> None:
    served = await connect("a", "b", routes=[{"name": "r", "arms": [{"variant": "a"}, {"variant": "b"}]}])
    await served.chat("tokens=1 a-secret-prompt", model="r", user="a-secret-user")
    async with served.http.get("/metrics") as response:
        assert "secret" not in await response.text()
