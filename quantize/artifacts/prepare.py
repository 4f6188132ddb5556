"""Make sure that all artifacts of plans are in the store: the only stage that runs the model.

Independent: statistics of the full-precision model, put into the store themselves; any number of plans
share them, and a layer is quantized at all widths that any plan wants at once.
Sequential: one plan; each unit's statistics are taken behind its quantized predecessors, so they
belong to this plan's choices up to there, which is what their identity says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from quantize.artifacts.build import UnitBuilder
from quantize.artifacts.keys import sequential_key, statistics_key
from quantize.artifacts.serialize import put_statistics, stored_layer, stored_pair, stored_statistics
from quantize.artifacts.source import StoreSource
from quantize.artifacts.unitplan import UnitPlan, plan_unit
from quantize.calibration.passes import CalibrationPass
from quantize.calibration.statistics import UnitStatistics
from quantize.calibration.units import Unit
from quantize.options import GptqOptions
from quantize.reading import TORCH_DTYPES
from quantize.resolve import ResolvedLayer
from quantize.store import ObjectStore

Layers = Sequence[ResolvedLayer]
UnitListener = Callable[[str, int, int], None]
"""Hears of each unit that is done: its name, how many are, of how many."""


def prepare_independent(
    calibrated: CalibrationPass,
    plans: Sequence[Layers],
    store: ObjectStore,
    on_unit: UnitListener = lambda *_: None,
    options: GptqOptions | None = None,
) -> tuple[StoreSource, ...]:
    """Sources of plans (resolved on one checkpoint) that share the full-precision model's statistics.

    Raises DataError, CheckpointError, QuantizationError, StoreError.
    """
    statistics = {unit.name: statistics_key(calibrated.identity, unit.name) for unit in calibrated.units}
    options = options or GptqOptions()
    planned = [_plan_units(calibrated, layers, statistics, options) for layers in plans]
    by_unit = {unit.name: [units[index] for units in planned] for index, unit in enumerate(calibrated.units)}
    independent = _Independent(calibrated, store, statistics, by_unit, options, on_unit)
    independent.fill()
    return tuple(
        StoreSource(calibrated.checkpoint, store, units, calibrated.samples_hash) for units in planned
    )


def prepare_sequential(
    calibrated: CalibrationPass,
    layers: Layers,
    store: ObjectStore,
    on_unit: UnitListener = lambda *_: None,
    options: GptqOptions | None = None,
) -> StoreSource:
    """Source of one plan whose units are calibrated behind their quantized predecessors. Raises as above."""
    options = options or GptqOptions()
    by_name = {layer.name: layer for layer in layers}
    behind: dict[str, str | None] = {}
    planned = []
    for unit in calibrated.units:
        statistics = sequential_key(calibrated.identity, unit.name, behind)
        planned.append(
            plan_unit(calibrated.checkpoint, calibrated.hashes, unit, by_name, statistics, options)
        )
        behind.update(planned[-1].layer_keys)
    sequential = _Sequential(calibrated, store, planned, options, on_unit)
    if any(sequential.wants(unit) for unit in calibrated.units):
        calibrated.walk(sequential, is_sequential=True)
    return StoreSource(calibrated.checkpoint, store, planned, calibrated.samples_hash)


def _plan_units(
    calibrated: CalibrationPass, layers: Layers, statistics: Mapping[str, str], options: GptqOptions
) -> list[UnitPlan]:
    by_name = {layer.name: layer for layer in layers}
    checkpoint, hashes = calibrated.checkpoint, calibrated.hashes
    return [
        plan_unit(checkpoint, hashes, unit, by_name, statistics[unit.name], options)
        for unit in calibrated.units
    ]


class _Independent:
    """Visits units that have no statistics yet; builds every unit's artifacts from them."""

    def __init__(
        self,
        calibrated: CalibrationPass,
        store: ObjectStore,
        statistics: Mapping[str, str],
        plans: Mapping[str, Sequence[UnitPlan]],
        options: GptqOptions,
        on_unit: UnitListener,
    ) -> None:
        self._calibrated = calibrated
        self._store = store
        self._keys = statistics
        self._plans = plans
        self._options = options
        self._on_unit = on_unit
        self._done = 0

    def fill(self) -> None:
        """Put what is missing; the model runs only where statistics are."""
        missing = [unit for unit in self._calibrated.units if self._misses(unit)]
        if any(self.wants(unit) for unit in missing):
            self._calibrated.walk(self, is_sequential=False)
        for unit in missing:
            if self._misses(unit):
                self._build(unit, self._stored(unit))

    def wants(self, unit: Unit) -> bool:
        """Units without statistics, whether or not a plan quantizes them now: later plans will."""
        return self._keys[unit.name] not in self._store

    def visit(self, unit: Unit, statistics: UnitStatistics) -> None:
        """Keep the statistics, and quantize the unit while they are at hand."""
        put_statistics(self._store, self._keys[unit.name], unit.name, statistics)
        self._build(unit, statistics)

    def replaced(self, unit: Unit) -> None:
        """All units see the full-precision model."""

    def _build(self, unit: Unit, statistics: UnitStatistics) -> None:
        calibrated = self._calibrated
        builder = UnitBuilder(
            calibrated.checkpoint, self._store, statistics, self._options, calibrated.device
        )
        builder.build(self._plans[unit.name])
        self._done += 1
        self._on_unit(unit.name, self._done, sum(bool(each.layers) for each in self._calibrated.units))

    def _stored(self, unit: Unit) -> UnitStatistics:
        return stored_statistics(self._store.get(self._keys[unit.name]), self._calibrated.device)

    def _misses(self, unit: Unit) -> bool:
        return any(key not in self._store for plan in self._plans[unit.name] for key in plan.keys)


class _Sequential:
    """Visits units whose artifacts are missing; answers with each unit as it was quantized."""

    def __init__(
        self,
        calibrated: CalibrationPass,
        store: ObjectStore,
        plans: Sequence[UnitPlan],
        options: GptqOptions,
        on_unit: UnitListener,
    ) -> None:
        self._checkpoint = calibrated.checkpoint
        self._device = calibrated.device
        self._store = store
        self._plans = {plan.unit.name: plan for plan in plans}
        self._options = options
        self._on_unit = on_unit
        self._done: set[str] = set()

    def wants(self, unit: Unit) -> bool:
        """Units that lack an artifact."""
        return any(key not in self._store for key in self._plans[unit.name].keys)

    def visit(self, unit: Unit, statistics: UnitStatistics) -> None:
        """Quantize the unit."""
        builder = UnitBuilder(self._checkpoint, self._store, statistics, self._options, self._device)
        builder.build([self._plans[unit.name]])
        self._report(unit)

    def replaced(self, unit: Unit) -> Mapping[str, Tensor] | None:
        """The unit as the variant will have it."""
        self._report(unit)
        plan = self._plans[unit.name]
        tensors: dict[str, Tensor] = {}
        for pair, key in plan.pair_keys.items():
            for name, tensor in stored_pair(pair, self._store.get(key)).dense.items():
                written = f"{unit.name}.{name}"
                dtype = TORCH_DTYPES[self._checkpoint.tensors[written].dtype]
                tensors[written] = tensor.to(dtype).to(torch.float32)
        for layer in unit.layers:
            if layer.name in plan.layer_keys:
                found = self._store.get(plan.layer_keys[layer.name])
                weight = stored_layer(found, plan.schemes[layer.name].bits, layer.shape[1])
                tensors[f"{layer.name}.weight"] = weight.dequantize()
        return tensors or None

    def _report(self, unit: Unit) -> None:
        """Tell the listener once of each unit."""
        if unit.name not in self._done:
            self._done.add(unit.name)
            self._on_unit(unit.name, len(self._done), sum(bool(p.unit.layers) for p in self._plans.values()))
