"""Quantize a unit's layers from its statistics, into the store; whatever is there already is left alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from quantize.artifacts.serialize import layer_tensors, pair_tensors, stored_pair
from quantize.artifacts.unitplan import UnitPlan
from quantize.calibration.statistics import UnitStatistics
from quantize.checkpoint import Checkpoint
from quantize.device import CPU
from quantize.errors import QuantizationError
from quantize.families.smoothing import Feeds
from quantize.methods import LayerStatistics, QuantizedWeight
from quantize.methods.awq import quantize_awq, search_smoothing, smoothed_statistics
from quantize.methods.factor import Factor, factorise
from quantize.methods.gptq import quantize_with_factor
from quantize.methods.losses import relative_output_error, relative_weight_error
from quantize.methods.rtn import quantize_rtn
from quantize.methods.smoothing import SettledPair, SmoothedBlock, settle, shared_scales, smooth_block
from quantize.options import GptqOptions
from quantize.reading import TORCH_DTYPES, read_tensor
from quantize.scheme import Scheme
from quantize.store import ObjectStore

_LEAST_TOKENS = 128  # for groups as wide as the channel


class UnitBuilder:
    """Builds one unit's artifacts for any number of plans; its weights are read once, to where the statistics
    are."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        store: ObjectStore,
        statistics: UnitStatistics,
        options: GptqOptions,
        device: torch.device = CPU,
    ) -> None:
        self._checkpoint = checkpoint
        self._store = store
        self._statistics = statistics
        self._options = options
        self._device = device
        self._read_tensors: dict[str, Tensor] = {}
        self._factors: dict[str, Factor | None] = {}

    def build(self, plans: Sequence[UnitPlan]) -> None:
        """Put every artifact of `plans` (of one unit, on the same statistics) that the store lacks.

        Raises QuantizationError naming the layer.
        """
        widths: dict[str, dict[str, Scheme]] = {}
        for plan in plans:
            for name, key in plan.layer_keys.items():
                if plan.schemes[name].method == "gptq" and key not in self._store:
                    widths.setdefault(name, {})[key] = plan.schemes[name]
        for name, wanted in widths.items():
            with _naming(name):
                self._build_gptq(name, wanted)
        for plan in plans:
            self._build_rest(plan)

    def _build_gptq(self, name: str, wanted: Mapping[str, Scheme]) -> None:
        hessian, owner = self._fitting(name, wanted.values()).hessian, self._statistics.owners[name]
        options = self._options
        if owner not in self._factors:
            self._factors[owner] = factorise(hessian, damping=options.damping, act_order=options.act_order)
        outcomes = quantize_with_factor(
            self._weight(name), hessian, self._factors[owner], list(wanted.values()), options
        )
        for (key, scheme), outcome in zip(wanted.items(), outcomes, strict=True):
            facts = {"fallback": outcome.fallback, "damping": outcome.damping, "dead": outcome.dead}
            effective = outcome.quantized.dequantize()
            self._put(key, name, scheme, outcome.quantized, effective, facts)

    def _build_rest(self, plan: UnitPlan) -> None:
        missing = {name: key for name, key in plan.layer_keys.items() if key not in self._store}
        if not missing and all(key in self._store for key in plan.pair_keys.values()):
            return
        block = self._smooth(plan)
        for name, key in missing.items():
            scheme = plan.schemes[name]
            with _naming(name):
                if scheme.method == "awq":
                    self._build_awq(key, name, scheme, plan.unit.relative(name), block)
                elif scheme.method == "rtn":
                    quantized = quantize_rtn(self._weight(name), None, scheme)
                    self._put(key, name, scheme, quantized, quantized.dequantize(), {})

    def _build_awq(self, key: str, name: str, scheme: Scheme, relative: str, block: SmoothedBlock) -> None:
        weight = block.tensors.get(f"{relative}.weight", self._weight(name))
        fitting = self._fitting(name, [scheme])
        if relative in block.input_scales:
            fitting = smoothed_statistics(fitting, block.input_scales[relative])
        quantized = quantize_awq(weight, fitting, scheme)
        self._put(key, name, scheme, quantized, block.restored(relative, quantized.dequantize()), {})

    def _smooth(self, plan: UnitPlan) -> SmoothedBlock:
        prefix = f"{plan.unit.name}."
        own = [name for name in self._checkpoint.tensors if plan.pair_keys and name.startswith(prefix)]
        tensors = {name.removeprefix(prefix): self._read(name) for name in own}
        settled = [self._settle(plan, pair, key, tensors) for pair, key in plan.pair_keys.items()]
        return smooth_block(tensors, settled)

    def _settle(self, plan: UnitPlan, pair: Feeds, key: str, tensors: Mapping[str, Tensor]) -> SettledPair:
        if key in self._store:
            return stored_pair(pair, self._store.get(key), self._device)
        members = [f"{plan.unit.name}.{linear}" for linear in pair.linears]
        schemes = [plan.schemes[member] for member in members]
        rows = tensors[f"{pair.source}.weight"].shape[0]
        with _naming(members[0]):
            found = search_smoothing(
                [self._weight(member) for member in members],
                self._fitting(members[0], schemes),
                schemes,
                lambda values: shared_scales(pair, values, rows, plan.head_size),
            )
            entry = self._checkpoint.tensors[f"{plan.unit.name}.{pair.source}.weight"]
            settled = settle(pair, found.scales, tensors, TORCH_DTYPES[entry.dtype], plan.head_size)
        facts = {"exponent": found.exponent, "weighted": found.weighted, "gain": found.gain}
        self._store.put(key, pair_tensors(settled), {"kind": "smoothing", "layers": members, **facts})
        return settled

    def _put(
        self,
        key: str,
        name: str,
        scheme: Scheme,
        quantized: QuantizedWeight,
        effective: Tensor,
        facts: Mapping[str, object],
    ) -> None:
        weight, held_out = self._weight(name), self._statistics.of(name).held_out
        described = {
            "kind": "layer",
            "layer": name,
            "method": scheme.method,
            "bits": scheme.bits,
            "relative_error": relative_weight_error(weight, effective),
            "relative_output_error": None
            if held_out is None
            else relative_output_error(weight, effective, held_out),
        }
        self._store.put(key, layer_tensors(quantized, scheme.bits), {**described, **facts})

    def _fitting(self, name: str, schemes: Iterable[Scheme]) -> LayerStatistics:
        fitting = self._statistics.of(name).fitting
        sizes = [scheme.group_size for scheme in schemes]
        needed = max(_LEAST_TOKENS if size == "channel" else size for size in sizes)
        if fitting.tokens < needed:
            raise QuantizationError(
                f"calibration saw {fitting.tokens} inputs, fewer than a group of {needed}; "
                "raise calibration.samples"
            )
        return fitting

    def _weight(self, name: str) -> Tensor:
        return self._read(f"{name}.weight")

    def _read(self, name: str) -> Tensor:
        if name not in self._read_tensors:
            tensor = read_tensor(self._checkpoint.tensors[name])
            self._read_tensors[name] = tensor.to(self._device, torch.float32)
        return self._read_tensors[name]


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Errors inside name the layer."""
    try:
        yield
    except QuantizationError as exc:
        message = str(exc)
        raise QuantizationError(message if message.startswith(name) else f"{name}: {message}") from exc
