"""Whether and from where the gateway fetches images that requests name by URL."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bitloom.schema import Schema


class FetchConfig(Schema):
    """Off by default: every fetch lets a client make the server talk to somebody.

    `hosts` are the names that may be fetched from, `.example.org` with all its subdomains; empty: any host
    with a public address. `seconds` is for the whole fetch, redirects included.
    """

    enabled: bool = False
    hosts: tuple[Annotated[str, Field(pattern=r"^\.?[a-z0-9-]+(\.[a-z0-9-]+)*$")], ...] = ()
    ports: tuple[Annotated[int, Field(gt=0, le=65535)], ...] = (80, 443)
    redirects: Annotated[int, Field(ge=0, le=10)] = 3
    seconds: Annotated[float, Field(gt=0)] = 5
