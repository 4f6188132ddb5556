"""Every failure is OpenAI's error object, in front of a stream, inside it, and without one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

TIMEOUTS = {"first_byte_s": 1.0, "idle_s": 1.0, "body_s": 0.5}


def error_of(document: dict[str, Any]) -> dict[str, Any]:
    assert set(document) == {"error"}
    error: dict[str, Any] = document["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
    assert isinstance(error["code"], str)
    return error


def last_event(body: bytes) -> dict[str, Any]:
    events = body.decode().strip().split("\n\n")
    assert "[DONE]" not in body.decode()
    document: dict[str, Any] = json.loads(events[-1].removeprefix("data: "))
    return document


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ("die=0", 502, "worker_lost"),
        ("stall=0", 504, "worker_timeout"),
        ("garbage=1", 502, "worker_failed"),
        ("status=400", 400, "refused_by_worker"),
        ("status=429", 429, "refused_by_worker"),
        ("status=500", 502, "worker_failed"),
        ("status=404", 502, "worker_failed"),
    ],
)
async def test_before_the_first_byte(
    connect: Any, script: str, status: int, code: str, is_stream: bool
) -> None:
    served = await connect("a", timeouts=TIMEOUTS)
    if is_stream:
        given, raw = await served.stream(script)
        document = json.loads(raw)
    else:
        given, document = await served.chat(script)
    assert (given, error_of(document)["code"]) == (status, code)
    labels = {"route": "a", "variant": "a", "finish_reason": "none"}
    assert served.metric("requests_total", code=str(status), **labels) == 1


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("tokens=5 die=2", "worker_lost"),
        ("tokens=5 stall=2", "worker_timeout"),
        ("tokens=5 cut=2", "worker_failed"),
    ],
)
async def test_in_the_middle_of_a_stream(connect: Any, script: str, code: str) -> None:
    served = await connect("a", timeouts=TIMEOUTS)
    status, body = await served.stream(script)
    assert status == 200
    assert body.count(b"data: ") == 3
    assert error_of(last_event(body))["code"] == code
    assert served.metric("stream_errors_total", variant="a") == 1


async def test_an_engines_own_error_event_passes_in_openais_form(connect: Any) -> None:
    served = await connect("a")
    _, body = await served.stream("tokens=5 error=1")
    assert last_event(body) == {
        "error": {"message": "stub", "type": "server_error", "param": None, "code": "500"}
    }
    assert served.metric("stream_errors_total", variant="a") == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/v1/models", 405),
        ("GET", "/v1/chat/completions", 405),
        ("GET", "/v1/models/none", 404),
        ("GET", "/docs", 404),
        ("POST", "/collective_rpc", 404),
    ],
)
async def test_paths(connect: Any, method: str, path: str, status: int) -> None:
    served = await connect("a")
    async with served.http.request(method, path) as response:
        assert response.status == status
        error_of(await response.json())


async def test_an_unknown_model_names_those_there_are(connect: Any) -> None:
    served = await connect("a", "b")
    status, document = await served.chat("x", model="c")
    assert status == 404
    assert error_of(document)["code"] == "model_not_found"
    assert "a, b" in document["error"]["message"]
    assert served.metric("requests_rejected_total", reason="model_not_found") == 1


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", ""])
async def test_only_json_is_read(connect: Any, content_type: str) -> None:
    served = await connect("a")
    async with served.http.post(
        "/v1/chat/completions", data=b"{}", headers={"content-type": content_type}
    ) as response:
        assert response.status == 400
        assert error_of(await response.json())["code"] == "unsupported_content_type"


async def test_bodies_are_measured_while_they_arrive(connect: Any) -> None:
    served = await connect("a", limits={"body_bytes": 10_000})

    async def endless() -> Any:
        for _ in range(1000):
            yield b" " * 1000
            await asyncio.sleep(0)

    json_type = {"content-type": "application/json"}
    async with served.http.post("/v1/chat/completions", data=endless(), headers=json_type) as response:
        assert response.status == 413
        assert error_of(await response.json())["code"] == "body_too_large"
    async with served.http.post("/v1/chat/completions", data=b" " * 20_000, headers=json_type) as response:
        assert response.status == 413


async def test_a_body_that_dribbles_in(connect: Any) -> None:
    served = await connect("a", timeouts=TIMEOUTS)

    async def slow() -> Any:
        yield b"{"
        await asyncio.sleep(30)

    async with served.http.post(
        "/v1/chat/completions", data=slow(), headers={"content-type": "application/json"}
    ) as response:
        assert response.status == 408


async def test_a_body_of_many_elements(connect: Any) -> None:
    served = await connect("a")
    status, document = await served.chat("x", extra=[[]] * 200_000)
    assert (status, error_of(document)["code"]) == (413, "body_too_complex")
    assert not served.engines["a"].received


async def test_beyond_the_queue_the_answer_is_429(connect: Any) -> None:
    served = await connect("a", "b", limits={"outstanding": 2}, timeouts={"first_byte_s": 2, "idle_s": 2})
    held = [asyncio.create_task(served.chat("stall=0")) for _ in range(2)]
    await served.until(lambda: len(served.engines["a"].received) == 2)
    async with served.http.post(
        "/v1/chat/completions", json={"model": "a", "messages": [{"role": "user", "content": "x"}]}
    ) as response:
        assert response.status == 429
        assert response.headers["retry-after"] == "1"
        assert error_of(await response.json())["code"] == "queue_full"
    assert (await served.chat("x", model="b"))[0] == 200
    assert [status for status, _ in await asyncio.gather(*held)] == [504, 504]
    assert (await served.chat("x"))[0] == 200
