"""One pass over the calibration samples, unit by unit.

For each unit: load its weights, run all batches through it while watching its Linears, hand the
statistics over, pass the outputs on, release the weights. What is handed over may answer with
other weights (a quantized unit): then the batches run through those, and the units behind see what
they will see in the variant (`sequential`). Otherwise all units see the full-precision model
(`independent`), and the unit runs once instead of twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from quantize.calibration.batches import Batch
from quantize.calibration.lockstep import Call, Lockstep
from quantize.calibration.observe import Observer
from quantize.calibration.preservation import check_pairs
from quantize.calibration.skeleton import Skeleton
from quantize.calibration.statistics import UnitStatistics
from quantize.calibration.units import Unit
from quantize.families.smoothing import Feeds

logger = logging.getLogger(__name__)

Answer = Callable[[Call, object], None]


class Visitor(Protocol):
    """What a walk is for."""

    def wants(self, unit: Unit) -> bool:
        """Whether to watch this unit's inputs."""
        ...

    def visit(self, unit: Unit, statistics: UnitStatistics) -> None:
        """Take what was seen at a unit that was wanted."""
        ...

    def replaced(self, unit: Unit) -> Mapping[str, Tensor] | None:
        """Weights (written name, float32) that the units behind shall see; None: the checkpoint's."""
        ...


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """`is_sequential`: ask `replaced` of each unit. `pairs` and `head_size` of a unit: see smoothing."""

    is_sequential: bool
    pairs: Callable[[Unit], tuple[Feeds, ...]]
    head_size: Callable[[Unit], int | None]


def walk(skeleton: Skeleton, batches: Sequence[Batch], visitor: Visitor, options: WalkOptions) -> None:
    """Walk `batches` through the model of `skeleton`, up to the last unit that the visitor wants.

    Raises what the model raises, and QuantizationError where inputs are not finite or a smoothing pair
    does not preserve the function.
    """
    wanted = [index for index, unit in enumerate(skeleton.units) if unit.layers and visitor.wants(unit)]
    if not wanted:
        return
    runs = [lambda batch=batch: skeleton.run(batch.inputs) for batch in batches]
    lockstep = Lockstep(skeleton.modules, runs)
    with torch.no_grad(), closing(lockstep.units()) as units:
        for index, calls, answer in units:
            stop = index == wanted[-1]
            _at_unit(skeleton, index, calls, None if stop else answer, batches, visitor, options)
            if stop:
                return


def _at_unit(
    skeleton: Skeleton,
    index: int,
    calls: list[Call],
    answer: Answer | None,
    batches: Sequence[Batch],
    visitor: Visitor,
    options: WalkOptions,
) -> None:
    unit, module = skeleton.units[index], skeleton.load(index)
    if visitor.wants(unit):
        logger.info("%s: watching %d batches", unit.name, len(calls))
        observer = Observer(unit, module)
        for call in calls:
            output = _observed(observer, unit, module, call, batches[call.batch])
            if call is calls[0]:  # not before: inputs that are not finite are named first
                _check_pairs(unit, module, call, options)
            if answer and not options.is_sequential:
                answer(call, output)
        visitor.visit(unit, observer.finish())
        if not options.is_sequential:
            skeleton.release(index)
            return
    if answer:
        replaced = visitor.replaced(unit) if options.is_sequential else None
        module = skeleton.load(index, replaced) if replaced else module
        for call in calls:
            answer(call, _run(module, call))
    skeleton.release(index)


def _check_pairs(unit: Unit, module: nn.Module, call: Call, options: WalkOptions) -> None:
    pairs, head_size = options.pairs(unit), options.head_size(unit)
    check_pairs(unit.name, module, pairs, head_size, lambda: _first(_run(module, call)))


def _observed(observer: Observer, unit: Unit, module: nn.Module, call: Call, batch: Batch) -> object:
    if unit.prefix is None:  # a lone Linear: its own hooks do not fire, its argument is what it sees
        observer.see(batch, call.args[0])
        return _run(module, call)
    with observer.watching(batch):
        return _run(module, call)


def _run(module: nn.Module, call: Call) -> Any:
    """The unit's own forward, which the meeting point hides."""
    return type(module).forward(module, *call.args, **call.kwargs)


def _first(output: Any) -> Tensor:
    tensor = output[0] if isinstance(output, tuple) else output
    if not isinstance(tensor, Tensor):
        raise TypeError(f"a block answered {type(tensor).__name__}, not a tensor")
    return tensor
