"""With keys, every path is closed but the probes, however the path is spelt."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from server.keys import create_key


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "keys.json"
    secrets = {scope: create_key(path, scope, (scope,)) for scope in ("infer", "pin", "admin")}
    secrets["slow"] = create_key(path, "slow", ("infer",), requests_per_minute=1)
    return {"file": path, **secrets}


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


CHAT = {"model": "a", "messages": [{"role": "user", "content": "tokens=1"}]}


async def post(served: Any, headers: dict[str, str]) -> Any:
    async with served.http.post("/v1/chat/completions", json=CHAT, headers=headers) as response:
        return response.status, await response.json(), response.headers


async def test_who_may_infer(connect: Any, keys: dict[str, Any]) -> None:
    served = await connect("a", keys_file=keys["file"])
    assert (await post(served, bearer(keys["infer"])))[0] == 200
    for headers in (
        {},
        bearer("x"),
        bearer(""),
        {"authorization": keys["infer"]},
        {"authorization": "Basic x"},
    ):
        status, document, answered = await post(served, headers)
        assert (status, document["error"]["code"]) == (401, "invalid_api_key")
        assert answered["www-authenticate"] == "Bearer"
        assert "x-request-id" in answered
    status, document, _ = await post(served, bearer(keys["admin"]))
    assert (status, document["error"]["type"]) == (403, "permission_error")
    assert len(served.engines["a"].received) == 1
    assert served.metric("requests_rejected_total", reason="invalid_api_key") == 5


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/metrics/workers"])
async def test_probes_are_open(connect: Any, keys: dict[str, Any], path: str) -> None:
    served = await connect("a", keys_file=keys["file"])
    async with served.http.get(path) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "target",
    [
        *("/v1/models", "/openapi.json", "/nothing", "//v1/models", "/v1/models/", "/V1/models"),
        *("/health/../v1/models", "/health/", "//health", "/health%2f..%2fv1/models", "/%76%31/models"),
        *("/metrics;/../v1/models", "/ready?/../v1/models=1&x", "/admin/variants", "/v1/models?x=/health"),
    ],
)
async def test_no_spelling_of_a_path_opens_it(connect: Any, keys: dict[str, Any], target: str) -> None:
    served = await connect("a", keys_file=keys["file"])
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
    writer.write(f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b'"owned_by"' not in answer
    is_probe = target.startswith("/ready?")
    assert answer.split()[1] == (b"200" if is_probe else b"401")


async def test_a_rate_limit(connect: Any, keys: dict[str, Any]) -> None:
    served = await connect("a", keys_file=keys["file"])
    assert (await post(served, bearer(keys["slow"])))[0] == 200
    status, document, headers = await post(served, bearer(keys["slow"]))
    assert (status, document["error"]["code"]) == (429, "rate_limited")
    assert int(headers["retry-after"]) > 30
    assert (await post(served, bearer(keys["infer"])))[0] == 200


async def test_a_token_budget(connect: Any, keys: dict[str, Any]) -> None:
    """The stub's prompt has 7 tokens; a budget of 10 lets one answer of 30 tokens in, then waits."""
    secret = create_key(keys["file"], "small", ("infer",), tokens_per_minute=10)
    served = await connect("a", keys_file=keys["file"])
    text = {"model": "a", "messages": [{"role": "user", "content": "tokens=30"}]}
    for body, expected in ((text, 200), (CHAT, 429)):
        async with served.http.post("/v1/chat/completions", json=body, headers=bearer(secret)) as response:
            assert response.status == expected
    # 27 tokens too many at 10 a minute, and one to begin with.
    assert 150 < int(response.headers["retry-after"]) <= 168


async def test_a_stream_without_usage_costs_its_chunks(connect: Any, keys: dict[str, Any]) -> None:
    secret = create_key(keys["file"], "small", ("infer",), tokens_per_minute=10)
    served = await connect("a", keys_file=keys["file"])
    body = {"model": "a", "messages": [{"role": "user", "content": "tokens=30"}], "stream": True}
    for expected in (200, 429):
        async with served.http.post("/v1/chat/completions", json=body, headers=bearer(secret)) as response:
            await response.read()
            assert response.status == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({}, 200), ({"host": "evil.example"}, 403), ({"origin": "https://evil.example"}, 403)],
)
async def test_without_keys_administration_is_for_programs_here(
    connect: Any, headers: dict[str, str], expected: int
) -> None:
    """A page in a browser sends an origin; a name bound to this address by DNS comes as the host."""
    served = await connect("a")
    async with served.http.post("/admin/reload", headers=headers) as response:
        assert response.status == expected


async def test_choosing_an_arm_needs_its_scope(connect: Any, keys: dict[str, Any]) -> None:
    served = await connect("a", keys_file=keys["file"])
    status, document, _ = await post(served, {**bearer(keys["infer"]), "x-bitloom-variant": "a"})
    assert (status, document["error"]["code"]) == (403, "missing_scope")
