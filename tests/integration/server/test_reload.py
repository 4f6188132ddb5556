"""The configuration changes under traffic: nothing is lost, and what is wrong changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from server.keys import create_key
from tests.integration.server.conftest import chat


def route(**weights: float) -> list[dict[str, Any]]:
    arms = [{"variant": name, "weight": weight} for name, weight in weights.items()]
    return [{"name": "r", "arms": arms}]


async def reload(served: Any) -> tuple[int, dict[str, Any]]:
    async with served.http.post("/admin/reload") as response:
        return response.status, await response.json()


async def test_a_reload_under_load_loses_nothing(connect: Any) -> None:
    later: dict[str, Any] = {"routes": route(a=1, b=0)}
    served = await connect("a", "b", later=later, routes=route(a=1, b=0))
    answers: list[tuple[int, bytes]] = []
    is_over = False

    async def client() -> None:
        while not is_over:
            answers.append(await served.stream("tokens=5 delay=0.01", model="r"))

    clients = [asyncio.create_task(client()) for _ in range(16)]
    for turn in range(10):
        await asyncio.sleep(0.1)
        later.update(routes=route(a=turn % 2, b=1), limits={"n": 2 + turn})
        assert (await reload(served))[0] == 200
    is_over = True
    await asyncio.gather(*clients)
    assert len(answers) >= 32
    assert {status for status, _ in answers} == {200}
    assert all(body.endswith(b"data: [DONE]\n\n") and b'"error"' not in body for _, body in answers)
    assert served.engines["b"].received


async def test_routes_weights_and_limits_change(connect: Any) -> None:
    later: dict[str, Any] = {}
    served = await connect("a", "b", later=later, routes=route(a=1, b=0))
    assert (await served.chat("tokens=1", model="r"))[1]["model"] == "a"
    later.update(routes=[*route(a=0, b=1), {"name": "q", "arms": [{"variant": "a"}]}], limits={"n": 1})
    assert await reload(served) == (200, {"changed": ["routes", "limits"]})
    assert (await served.chat("tokens=1", model="r"))[1]["model"] == "b"
    assert (await served.chat("tokens=1", model="q"))[1]["model"] == "a"
    assert (await served.chat("tokens=1", model="q", n=2))[0] == 400
    assert served.metric("arm_weight", experiment="r", variant="b") == 1
    later.update(routes=[])
    assert (await reload(served))[0] == 200
    assert (await served.chat("tokens=1", model="r"))[0] == 404


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"routes": [{"name": "r", "arms": [{"variant": "z"}]}]}, "z"),
        ({"keys_file": "/nowhere/keys.json"}, "/nowhere/keys.json"),
        ({"port": 1}, "port cannot change"),
        ({"prot": 1}, "did you mean 'port'"),
    ],
)
async def test_a_wrong_configuration_changes_nothing(connect: Any, wrong: dict[str, Any], said: str) -> None:
    later: dict[str, Any] = {}
    served = await connect("a", later=later, routes=route(a=1))
    later.update({"limits": {"n": 1}, **wrong})
    status, document = await reload(served)
    assert (status, document["error"]["code"]) == (400, "invalid_configuration")
    assert said in document["error"]["message"]
    assert (await served.chat("tokens=1", model="r", n=2))[0] == 200


async def test_a_reload_keeps_what_the_arms_did(connect: Any, tmp_path: Path) -> None:
    later: dict[str, Any] = {}
    served = await connect("a", "b", later=later, routes=route(a=1, b=1), state_dir=tmp_path)
    for _ in range(10):
        await served.chat("tokens=1", model="r")
    async with served.http.post("/admin/experiments/r/arms/b/rollback") as response:
        before = (await response.json())["report"]["arms"]
    later.update(routes=route(a=3, b=1))
    assert (await reload(served))[0] == 200
    async with served.http.get("/admin/experiments/r") as response:
        after = (await response.json())["report"]["arms"]
    assert [arm["requests"] for arm in after] == [arm["requests"] for arm in before]
    assert [arm["share"] for arm in after] == [1, 0]
    assert sum(arm["requests"] for arm in after) == 10


async def test_variants_come_change_and_go(connect: Any) -> None:
    later: dict[str, Any] = {}
    served = await connect("a", "b", "c", later=later)
    urls = {name: worker.variant.url for name, worker in served.gateway.supervisor.workers.items()}

    def variants(**sources: str) -> list[dict[str, Any]]:
        return [{"name": name, "url": urls[source]} for name, source in sources.items()]

    later.update(variants=variants(a="a", b="c", d="b"), routes=[{"name": "r", "arms": [{"variant": "d"}]}])
    assert await reload(served) == (200, {"changed": ["variants", "routes"]})
    assert [(await served.chat("tokens=1", model=model))[1]["model"] for model in "abdr"] == [*"acbb"]
    assert (await served.chat("tokens=1", model="c"))[0] == 404
    later.update(variants=variants(a="a"))
    status, document = await reload(served)
    assert (status, "its arms must be different variants" in document["error"]["message"]) == (400, True)
    later.update(routes=[])
    assert (await reload(served))[0] == 200
    assert [(await served.chat("tokens=1", model=model))[0] for model in "abdr"] == [200, 404, 404, 404]


async def test_a_variant_loaded_meanwhile_becomes_an_arm(connect: Any) -> None:
    later: dict[str, Any] = {}
    served = await connect("a", "b", later=later, routes=route(a=1))
    url = served.gateway.supervisor.workers["b"].variant.url
    async with served.http.post("/admin/variants", json={"name": "n", "url": url, "outstanding": 1}) as done:
        assert done.status == 200
    later.update(routes=route(a=0, n=1))
    assert (await reload(served))[0] == 200
    async with served.http.post("/v1/chat/completions", json=chat("tokens=1", "r")) as response:
        assert (response.status, response.headers["x-bitloom-variant"]) == (200, "n")
    # Its own limit holds, and as an arm it cannot be taken away.
    slow = asyncio.create_task(served.chat("tokens=1 delay=0.5", model="n"))
    await served.until(lambda: served.metric("requests_in_flight", variant="n") == 1)
    assert (await served.chat("tokens=1", model="r"))[0] == 429
    assert (await slow)[0] == 200
    async with served.http.delete("/admin/variants/n") as response:
        assert response.status == 409
    # A reload that says nothing of it keeps it; only deleting ends it.
    later.update(routes=route(a=1))
    assert (await reload(served))[0] == 200
    assert (await served.chat("tokens=1", model="n"))[0] == 200
    async with served.http.delete("/admin/variants/n") as response:
        assert response.status == 200
    later.update(routes=route(n=1))
    assert (await reload(served))[0] == 400
    assert (await served.chat("tokens=1", model="r"))[0] == 200


async def test_a_variant_that_cannot_be_served_changes_nothing(connect: Any, tmp_path: Path) -> None:
    later: dict[str, Any] = {}
    served = await connect("a", later=later)
    url = served.gateway.supervisor.workers["a"].variant.url
    later["variants"] = [{"name": "a", "url": url}, {"name": "x", "directory": tmp_path / "none"}]
    status, document = await reload(served)
    assert (status, "no such directory" in document["error"]["message"]) == (400, True)
    assert (await served.chat("tokens=1"))[0] == 200
    assert (await served.chat("tokens=1", model="x"))[0] == 404


async def test_keys_come_and_go(connect: Any, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    admin = {"authorization": f"Bearer {create_key(path, 'admin', ('admin',))}"}
    served = await connect("a", keys_file=path)
    new = {"authorization": f"Bearer {create_key(path, 'new', ('infer',))}"}
    body = {"model": "a", "messages": [{"role": "user", "content": "tokens=1"}]}

    async def status(headers: dict[str, str]) -> int:
        async with served.http.post("/v1/chat/completions", json=body, headers=headers) as response:
            code: int = response.status
            return code

    assert await status(new) == 401
    async with served.http.post("/admin/reload", headers=new) as response:
        assert response.status == 401
    async with served.http.post("/admin/reload", headers=admin) as response:
        assert response.status == 200
    assert await status(new) == 200
