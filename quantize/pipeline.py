"""The offline stage: base checkpoint + plan -> variant directory."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from bitloom.errors import InputError
from bitloom.files import check_new_directory, new_directory, write_atomic
from bitloom.plan import Plan
from bitloom.variant import VariantManifest
from quantize.device import CPU
from quantize.options import GptqOptions
from quantize.preview import Preview, preview
from quantize.resolve import notes
from quantize.source import DirectSource, TensorSource
from quantize.store.location import default_root
from quantize.store.objects import ObjectStore
from quantize.write.config import variant_config
from quantize.write.manifest import copy_companions, write_manifest
from quantize.write.shards import MAX_SHARD_BYTES
from quantize.write.weights import LayerListener, write_weights

UnitListener = Callable[[str, int, int], None]
"""Hears of each unit that calibration is done with: its name, how many are, of how many."""

logger = logging.getLogger(__name__)


def quantize(
    plan: Plan,
    out: Path,
    *,
    source: TensorSource | None = None,
    store: Path | None = None,
    is_measured: bool = False,
    device: torch.device = CPU,
    on_unit: UnitListener | None = None,
    on_layer: LayerListener | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> VariantManifest:
    """Write the variant that `plan` describes to the new directory `out`; nothing is left on failure.

    `source` gives the tensors. By default they are computed from the checkpoint as they are needed, or,
    where a layer's method learns from data, taken from the artifact store at `store`, after calibration
    has filled it (`on_unit` hears of each unit). `is_measured` runs the samples for a plan that learns
    nothing from them, too, so that each layer has its output error. The samples are run and learnt from on
    `device`; what needs none is rounded on the CPU. `on_layer` hears of each layer's record.
    Raises PlanError, CheckpointError, InputError, DataError, QuantizationError, StoreError.
    """
    planned = preview(plan)
    check_new_directory(out)
    _check_space(out, planned.total.stored_bytes)
    for note in notes(planned.layers):
        logger.warning("plan %s: %s", plan.name, note)
    source = source or open_source(plan, planned, store, on_unit, is_measured=is_measured, device=device)
    return write_variant(plan, planned, source, out, on_layer=on_layer, max_shard_bytes=max_shard_bytes)


def write_variant(
    plan: Plan,
    planned: Preview,
    source: TensorSource,
    out: Path,
    *,
    on_layer: LayerListener | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> VariantManifest:
    """Write what `planned` says, with tensors from `source`, to the new directory `out`. Raises as above."""
    checkpoint = planned.checkpoint
    with new_directory(out) as directory:
        copy_companions(checkpoint.directory, directory)
        records = write_weights(
            directory,
            planned.outputs,
            source,
            on_layer or (lambda record: logger.debug("%s: done", record.name)),
            max_shard_bytes,
        )
        config = variant_config(checkpoint.config, checkpoint.family, planned.layers)
        write_atomic(directory / "config.json", json.dumps(config, indent=2) + "\n")
        return write_manifest(
            directory,
            plan,
            checkpoint,
            planned.outputs,
            planned.layers,
            records,
            source.calibration,
            source.notes(),
        )


def open_source(
    plan: Plan,
    planned: Preview,
    store: Path | None = None,
    on_unit: UnitListener | None = None,
    *,
    is_measured: bool = False,
    device: torch.device = CPU,
) -> TensorSource:
    """Where the plan's tensors come from: the checkpoint, or the store once calibration has filled it."""
    methods = {layer.scheme.method for layer in planned.layers if layer.scheme is not None}
    if not methods - {"rtn"} and not (methods and is_measured):
        return DirectSource(planned.checkpoint)
    # Calibration imports transformers, which takes seconds that rounding to nearest need not wait.
    from quantize.artifacts.prepare import prepare_independent, prepare_sequential
    from quantize.calibration.passes import CalibrationPass

    calibrated = CalibrationPass(planned.checkpoint, plan.calibration, device)
    objects = ObjectStore(store or default_root())
    listener = on_unit or (lambda name, done, total: logger.info("%s: unit %d of %d", name, done, total))
    options = None if plan.gptq is None else GptqOptions(**plan.gptq.model_dump())
    if plan.calibration.mode == "sequential":
        return prepare_sequential(calibrated, planned.layers, objects, listener, options)
    return prepare_independent(calibrated, [planned.layers], objects, listener, options)[0]


def _check_space(out: Path, needed: int) -> None:
    parent = next(path for path in out.absolute().parents if path.exists())
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise InputError(f"{out}: needs {needed} bytes, its file system has {free} free; make room first")
