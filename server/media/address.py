"""Where a URL may lead: strict reading of it, and which addresses are public.

URL parsers disagree about odd spellings (backslashes, credentials, numbers for hosts), and a check by one
parser protects nothing where another connects. So only what all of them read alike is accepted.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL = 2048
_PRINTABLE = re.compile(r"[!#-;=?-\[\]_a-z~]+")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
# A last label that some parsers take for a number makes the whole host an IPv4 address to them.
_NUMERIC = re.compile(r"([0-9]+|0x[0-9a-f]*)")
# IPv6 prefixes whose last four bytes are an IPv4 address that a translator connects to.
_TRANSLATED = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))


@dataclass(frozen=True, slots=True)
class Target:
    """A host and port to connect to; `address` where the host is one."""

    url: str
    host: str
    port: int
    address: Address | None


def read_target(url: str) -> Target | None:
    """Target of an http or https URL, None where it is anything else or spelled oddly."""
    if len(url) > MAX_URL or _PRINTABLE.fullmatch(url.lower()) is None:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not parts.hostname:
        return None
    port = {"http": 80, "https": 443}[parts.scheme] if port is None else port
    return _target(url, parts, port)


def _target(url: str, parts: SplitResult, port: int) -> Target | None:
    host = parts.hostname or ""
    if "%" in host:  # a zone: an address of this machine's links
        return None
    if parts.netloc.startswith("["):
        try:
            return Target(url, host, port, ipaddress.IPv6Address(host))
        except ValueError:
            return None
    if _NUMERIC.fullmatch(host.rpartition(".")[2]) is None:
        return Target(url, host, port, None) if _NAME.fullmatch(host) else None
    try:
        return Target(url, host, port, ipaddress.IPv4Address(host))
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address is somebody's on the internet, and so is every address hidden in it."""
    inner = [address, *_embedded(address)]
    return all(each.is_global and not (each.is_multicast or each.is_reserved) for each in inner)


def _embedded(address: Address) -> list[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _TRANSLATED):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def is_listed(host: str, hosts: tuple[str, ...]) -> bool:
    """Whether an allow list has the host; an empty one has all."""
    return not hosts or any(
        host == each.removeprefix(".") or (each.startswith(".") and host.endswith(each)) for each in hosts
    )
