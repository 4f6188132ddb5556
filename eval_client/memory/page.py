"""The endpoint's page of metrics."""

from __future__ import annotations

import aiohttp

from eval_client.endpoint.client import translated
from eval_client.errors import RequestError

READ_TIMEOUT_S = 2.0


async def read_metrics(session: aiohttp.ClientSession, endpoint: str) -> str:
    """Text of the endpoint's `/metrics`; empty where it has none or does not answer in time."""
    url = f"{endpoint.removesuffix('/v1')}/metrics"
    try:
        with translated():
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=READ_TIMEOUT_S)) as response:
                return await response.text() if response.status == 200 else ""
    except RequestError:
        return ""
