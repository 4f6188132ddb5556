"""Calibration passes on random batches: no processor, no images."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bitloom.plan import Calibration, Plan
from quantize.calibration.batches import Batch
from quantize.calibration.passes import CalibrationPass
from quantize.calibration.samples import ImageTextSample
from quantize.calibration.walk import Visitor
from quantize.checkpoint import open_checkpoint
from quantize.resolve import ResolvedLayer, resolve

Batches = Callable[..., tuple[Batch, ...]]


class RandomPass(CalibrationPass):
    """Random batches; `walks` counts how often the model ran."""

    walks = 0
    made: Batches
    family: str
    count: int

    @cached_property
    def samples(self) -> tuple[ImageTextSample, ...]:
        images = [Image.new("RGB", (4, 4), (n, self.calibration.seed, 0)) for n in range(2)]
        return tuple(ImageTextSample(str(n), image, "q", "a") for n, image in enumerate(images))

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        return self.made(self.family, count=self.count, held_out=1)

    def walk(self, visitor: Visitor, *, is_sequential: bool) -> None:
        self.walks += 1
        super().walk(visitor, is_sequential=is_sequential)


class Workshop:
    """One base: passes on it, and plans resolved against it."""

    def __init__(self, base: Path, family: str, made: Batches) -> None:
        self.base = base
        self.checkpoint = open_checkpoint(str(base))
        self._family = family
        self._made = made

    def calibrated(self, seed: int = 0, count: int = 12) -> RandomPass:
        found = RandomPass(self.checkpoint, Calibration(seed=seed))
        found.made, found.family, found.count = self._made, self._family, count
        return found

    def layers(self, *rules: dict[str, Any]) -> tuple[ResolvedLayer, ...]:
        document = {"name": "p", "base": str(self.base), "rules": list(rules)}
        return resolve(Plan.parse(document, source="test"), self.checkpoint)


@pytest.fixture(params=["llava", "blip2"])
def workshop(request: pytest.FixtureRequest, random_batches: Batches) -> Workshop:
    """Both families in turn."""
    return Workshop(request.getfixturevalue(f"{request.param}_base"), request.param, random_batches)


@pytest.fixture
def llava(llava_base: Path, random_batches: Batches) -> Workshop:
    """LLaVA alone."""
    return Workshop(llava_base, "llava", random_batches)
