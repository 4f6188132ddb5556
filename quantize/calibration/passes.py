"""A calibration pass: one checkpoint, one set of samples, and the identity that artifacts carry of it."""

from __future__ import annotations

import hashlib
from functools import cached_property

import torch

from bitloom.files import sha256_file
from bitloom.plan import Calibration
from quantize.artifacts.keys import WeightHashes, digest
from quantize.artifacts.unitplan import unit_head_size, unit_pairs
from quantize.calibration.batches import Batch, TokenWeights, make_batches
from quantize.calibration.samples import ImageTextSample, load_samples
from quantize.calibration.skeleton import Skeleton
from quantize.calibration.units import Unit, list_units
from quantize.calibration.walk import Visitor, WalkOptions, walk
from quantize.checkpoint import Checkpoint
from quantize.device import CPU

_PROCESSOR_PATTERNS = ("*processor*", "tokenizer*", "chat_template*")
HELD_OUT_SHARE = 8


class CalibrationPass:
    """What plans on one checkpoint share. Nothing is computed before it is needed, and then once.

    An eighth more samples than the plan asks for are drawn and held out; they report output errors. The model
    runs on `device`, and methods that learn from it compute there.
    """

    def __init__(self, checkpoint: Checkpoint, calibration: Calibration, device: torch.device = CPU) -> None:
        self.checkpoint = checkpoint
        self.device = device
        self.calibration = calibration
        self.hashes = WeightHashes(checkpoint)

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """The checkpoint's units, in the order they run."""
        return list_units(self.checkpoint)

    @cached_property
    def held_out(self) -> int:
        """Number of held-out samples."""
        return max(1, self.calibration.samples // HELD_OUT_SHARE)

    @cached_property
    def samples(self) -> tuple[ImageTextSample, ...]:
        """The samples to learn from, then the held-out ones. Raises DataError."""
        return load_samples(self.calibration, self.calibration.samples + self.held_out)

    @cached_property
    def identity(self) -> str:
        """Hash of all that the statistics follow from: weights, processor, samples, token weights."""
        directory = self.checkpoint.directory
        files = {path for pattern in _PROCESSOR_PATTERNS for path in directory.glob(pattern)}
        return digest(
            {
                "kind": "calibration",
                "weights": self.hashes.of_all(),
                "config": sha256_file(directory / "config.json"),
                "processor": {path.name: sha256_file(path) for path in sorted(files)},
                "samples": [sample.hash for sample in self.samples],
                "held_out": self.held_out,
                "token_weights": [self.calibration.vision_weight, self.calibration.text_weight],
                # Sums are rounded otherwise there: what one device made does not stand for another's.
                **({} if self.device.type == "cpu" else {"device": self.device.type}),
            }
        )

    @cached_property
    def samples_hash(self) -> str:
        """SHA-256 over the samples' own hashes, for the variant's manifest."""
        return hashlib.sha256("".join(sample.hash for sample in self.samples).encode()).hexdigest()

    def walk(self, visitor: Visitor, *, is_sequential: bool) -> None:
        """Run the samples through the model, unit by unit (`walk.walk`)."""
        options = WalkOptions(
            is_sequential=is_sequential,
            pairs=lambda unit: unit_pairs(self.checkpoint, unit),
            head_size=lambda unit: unit_head_size(self.checkpoint, unit),
        )
        walk(Skeleton(self.checkpoint, self.device), self.batches, visitor, options)

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        """The samples as the model takes them. Raises CheckpointError, DataError."""
        weights = TokenWeights(self.calibration.vision_weight, self.calibration.text_weight)
        checkpoint = self.checkpoint
        return make_batches(
            checkpoint.directory,
            checkpoint.config,
            self.samples,
            weights,
            held_out=self.held_out,
            has_language=any(stack.component == "language" for stack in checkpoint.family.stacks),
        )
