"""Replace the images of a request by canonical PNG data URIs, in threads that bound the memory."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from server.config import Limits
from server.errors import TooLarge
from server.media.decode import canonical_png
from server.media.fetch import Fetcher
from server.media.source import read_data_uri, sniff
from server.metrics import Metrics


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image of a request: the URL it gives, and where it stands, as messages name it."""

    url: str
    param: str


class MediaGate:
    """The only place where the server touches media.

    One thread a core: so many requests decode at once, the others wait, and what all decoders hold
    together is bounded by the limit of one request times the threads.
    """

    def __init__(self, limits: Limits, metrics: Metrics, fetcher: Fetcher) -> None:
        self._limits = limits
        self._fetcher = fetcher
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="media")

    async def canonicalize(self, images: Sequence[ImageRef]) -> list[str]:
        """Canonical data URI of each image, in order; raises BadRequest or TooLarge for the first bad one."""
        fetched = await self._fetch(images) if self._fetcher.is_enabled else {}
        loop = asyncio.get_running_loop()
        with self._metrics.image_decode.time():
            return await loop.run_in_executor(self._threads, self._convert, images, fetched)

    def apply(self, limits: Limits) -> None:
        """Convert under other limits from the next request on."""
        self._limits = limits

    def close(self) -> None:
        """End the threads; conversions that wait are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _fetch(self, images: Sequence[ImageRef]) -> dict[str, bytes]:
        """Content by URL, one after another: all images together may have what a body may have."""
        fetched: dict[str, bytes] = {}
        for image in images:
            if image.url[:5].lower() == "data:" or image.url in fetched:
                continue
            with self._metrics.image_fetch.time():
                fetched[image.url] = await self._fetcher.fetch(image.url, image.param, self._limits)
            if sum(map(len, fetched.values())) > self._limits.body_bytes:
                raise TooLarge(
                    f"{image.param}: the images have over {self._limits.body_bytes} bytes in all; give fewer",
                    code="images_too_large",
                    param=image.param,
                )
        return fetched

    def _convert(self, images: Sequence[ImageRef], fetched: Mapping[str, bytes]) -> list[str]:
        budget = self._limits.request_pixels
        converted = []
        for image in images:
            if image.url in fetched:
                data = fetched[image.url]
                declared = sniff(data, image.param)
            else:
                declared, data = read_data_uri(image.url, image.param, self._limits)
            png, pixels = canonical_png(data, declared, image.param, self._limits, budget)
            budget -= pixels
            converted.append("data:image/png;base64," + base64.b64encode(png).decode("ascii"))
        return converted
