"""Fetch an image from its URL without being led astray.

Every hop is read strictly, resolved once, and refused unless all its addresses are public; the connection
then goes to one of those very addresses, so that a name that resolves otherwise the second time gains
nothing. Bytes and time are bounded, and nothing of the client's or the server's is sent along.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from server.config import Limits
from server.errors import BadRequest, RequestError, TooLarge
from server.media.address import Address, Target, is_listed, is_public, read_target
from server.media.config import FetchConfig

Resolve = Callable[[str, int], Awaitable[list[Address]]]
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_ADDRESSES = 16


async def resolve_host(host: str, port: int) -> list[Address]:
    """Addresses of a host; raises OSError where it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found[:MAX_ADDRESSES]]


class Fetcher:
    """Fetches under one configuration. `is_allowed` judges addresses; both are the tests' to replace."""

    def __init__(
        self,
        config: FetchConfig,
        resolve: Resolve = resolve_host,
        is_allowed: Callable[[Address], bool] = is_public,
    ) -> None:
        self._config = config
        self._resolve = resolve
        self._is_allowed = is_allowed

    @property
    def is_enabled(self) -> bool:
        """Whether anything is fetched at all."""
        return self._config.enabled

    async def fetch(self, url: str, param: str, limits: Limits) -> bytes:
        """Content of a URL; raises BadRequest or TooLarge that say nothing of what was found inside."""
        try:
            async with asyncio.timeout(self._config.seconds):
                return await self._follow(url, param, limits)
        except RequestError:
            raise
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            raise _failed(param, f"did not come within {self._config.seconds:g} s, or not at all") from exc

    async def _follow(self, url: str, param: str, limits: Limits) -> bytes:
        for _ in range(self._config.redirects + 1):
            target = await self._check(url, param)
            answer = await self._get(*target, param, limits)
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer)
        raise _failed(param, f"is redirected more than {self._config.redirects} times")

    async def _check(self, url: str, param: str) -> tuple[Target, list[Address]]:
        """The target and its addresses, all of them allowed."""
        target = read_target(url)
        if target is None or target.port not in self._config.ports:
            raise _refused(param)
        if not is_listed(target.host, self._config.hosts):
            raise _refused(param)
        if target.address is not None:
            addresses = [target.address]
        else:
            addresses = await self._resolve(target.host, target.port)
        if not addresses or not all(map(self._is_allowed, addresses)):
            raise _refused(param)
        return target, addresses

    async def _get(self, target: Target, addresses: list[Address], param: str, limits: Limits) -> bytes | str:
        """Content, or where a redirect points."""
        connector = aiohttp.TCPConnector(resolver=_Pinned(addresses), use_dns_cache=False, force_close=True)
        headers = {"accept": "image/png, image/jpeg, image/webp, image/gif", "accept-encoding": "identity"}
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent",),
            ) as session,
            session.get(target.url, headers=headers, allow_redirects=False) as response,
        ):
            if response.status in REDIRECTS:
                return str(response.headers.get("location", ""))
            if response.status != 200 or response.headers.get("content-encoding", "identity") != "identity":
                raise _failed(param, "is not answered with a file")
            return await _read(response, param, limits)


async def _read(response: aiohttp.ClientResponse, param: str, limits: Limits) -> bytes:
    pieces = []
    left = limits.image_bytes
    async for piece in response.content.iter_any():
        left -= len(piece)
        if left < 0:
            raise TooLarge(
                f"{param} is over {limits.image_bytes} bytes; give a smaller image",
                code="image_too_large",
                param=param,
            )
        pieces.append(piece)
    return b"".join(pieces)


class _Pinned(AbstractResolver):  # type: ignore[misc]  # aiohttp is untyped to mypy
    """Knows the addresses that were checked, whatever the name resolves to by now."""

    def __init__(self, addresses: list[Address]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: int = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(each),
                port=port,
                family=socket.AF_INET if each.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for each in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _refused(param: str) -> BadRequest:
    # One message for every reason: which names resolve to what here is nobody's business.
    return BadRequest(
        f"{param} is a URL that this server does not fetch; give a public http or https URL of an allowed "
        "host, or a data URI",
        code="image_url_refused",
        param=param,
    )


def _failed(param: str, what: str) -> BadRequest:
    return BadRequest(
        f"{param} {what}; check the URL, or send the image as a data URI",
        code="image_not_fetched",
        param=param,
    )
