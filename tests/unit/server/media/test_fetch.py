"""Fetching goes to the address that was checked, at every hop, within its bounds."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from server.config import Limits
from server.errors import BadRequest, TooLarge
from server.media.address import Address
from server.media.config import FetchConfig
from server.media.fetch import Fetcher

HOME = ipaddress.ip_address("127.0.0.1")
SECRET = ipaddress.ip_address("127.0.0.2")


@dataclass
class World:
    """A server on two addresses, of which the second must not be reached, and the names there are."""

    port: int
    names: dict[str, list[list[Address]]]
    reached: list[tuple[str, str]] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)

    async def resolve(self, host: str, port: int) -> list[Address]:
        """The next answer for a name; the last one stays."""
        answers = self.names.get(host)
        if answers is None:
            raise OSError("no such name")
        self.asked[host] += 1
        return answers[min(self.asked[host], len(answers)) - 1]

    def fetcher(self, **settings: object) -> Fetcher:
        config = FetchConfig.model_validate({"enabled": True, "ports": (self.port,), **settings})
        return Fetcher(config, self.resolve, lambda address: address == HOME)

    async def get(
        self, path: str, host: str = "good.example", limits: Limits | None = None, **settings: object
    ) -> bytes:
        url = f"http://{host}:{self.port}{path}"
        return await self.fetcher(**settings).fetch(url, "p", limits or Limits())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        here.reached.append((request.transport.get_extra_info("sockname")[0], request.path))
        if request.path == "/redirect":
            raise web.HTTPFound(request.query["to"])
        if request.path == "/slow":
            await asyncio.sleep(60)
        if request.path == "/gzip":
            return web.Response(body=b"x", headers={"content-encoding": "gzip"})
        if request.path == "/headers":
            return web.Response(text=" ".join(sorted(name.lower() for name in request.headers)))
        return web.Response(body=b"y" * int(request.query.get("bytes", 1)))

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "0.0.0.0", 0)
    await site.start()
    port: int = runner.addresses[0][1]
    names: dict[str, list[list[Address]]] = {
        "good.example": [[HOME]],
        "bad.example": [[SECRET]],
        "mixed.example": [[HOME, SECRET]],
        "rebinding.example": [[HOME], [SECRET]],
        "empty.example": [[]],
    }
    here = World(port, names)
    yield here
    await runner.cleanup()


async def test_a_file_is_fetched_and_nothing_is_told(world: World) -> None:
    assert await world.get("/a?bytes=5000") == b"y" * 5000
    told = (await world.get("/headers")).decode().split()
    assert set(told) == {"accept", "accept-encoding", "host"} | ({"connection"} & set(told))


@pytest.mark.parametrize("host", ["bad.example", "mixed.example", "empty.example", "127.0.0.2", "[::1]"])
async def test_what_is_not_allowed_is_not_reached(world: World, host: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await world.get("/a", host)
    assert caught.value.code == "image_url_refused"
    assert not world.reached


async def test_a_name_that_changes_its_mind_is_asked_once(world: World) -> None:
    assert await world.get("/a", "rebinding.example") == b"y"
    assert world.asked["rebinding.example"] == 1
    with pytest.raises(BadRequest):
        await world.get("/a", "rebinding.example")
    assert world.reached == [("127.0.0.1", "/a")]


@pytest.mark.parametrize(
    "to",
    [
        "http://bad.example:{port}/x",
        "http://127.0.0.2:{port}/x",
        "file:///etc/passwd",
        "//bad.example:{port}/x",
    ],
)
async def test_every_hop_is_checked(world: World, to: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await world.get("/redirect?to=" + to.format(port=world.port))
    assert caught.value.code == "image_url_refused"
    assert world.reached == [("127.0.0.1", "/redirect")]


async def test_redirects_are_followed_and_counted(world: World) -> None:
    assert await world.get("/redirect?to=/a") == b"y"
    with pytest.raises(BadRequest) as caught:
        await world.get("/redirect?to=/redirect%3Fto=/a", redirects=1)
    assert caught.value.code == "image_not_fetched"


async def test_bytes_and_time_are_bounded(world: World) -> None:
    with pytest.raises(TooLarge):
        await world.get("/a?bytes=3000", limits=Limits(image_bytes=2000))
    with pytest.raises(BadRequest) as caught:
        await world.get("/slow", seconds=0.2)
    assert caught.value.code == "image_not_fetched"
    with pytest.raises(BadRequest):
        await world.get("/gzip")


async def test_the_allow_list_and_the_ports(world: World) -> None:
    assert await world.get("/a", hosts=("good.example",)) == b"y"
    for settings in ({"hosts": ("other.example",)}, {"ports": (80,)}):
        with pytest.raises(BadRequest) as caught:
            await world.get("/a", **settings)
        assert caught.value.code == "image_url_refused"
