"""A variant's tensors out of the store: what is left to do for a warm one is assembly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quantize.artifacts.serialize import stored_layer, stored_pair
from quantize.artifacts.unitplan import UnitPlan
from quantize.checkpoint import Checkpoint
from quantize.methods.smoothing import SmoothedBlock
from quantize.reading import TORCH_DTYPES, read_tensor
from quantize.resolve import ResolvedLayer
from quantize.source import QuantizedLayer
from quantize.store import ObjectStore


class StoreSource:
    """The `TensorSource` of one plan whose artifacts are all in `store`; `calibration` is their pass."""

    def __init__(
        self, checkpoint: Checkpoint, store: ObjectStore, plans: Sequence[UnitPlan], calibration: str
    ) -> None:
        self.calibration = calibration
        self._checkpoint = checkpoint
        self._store = store
        self._plans = plans
        self._keys = {name: key for plan in plans for name, key in plan.layer_keys.items()}
        self._dense: Mapping[str, Tensor] = self._smoothed()
        self._fallbacks: dict[str, str] = {}

    def dense(self, name: str) -> Tensor:
        """The checkpoint's tensor; a norm or bias that gave up scales as it is afterwards."""
        entry = self._checkpoint.tensors[name]
        if name in self._dense:
            return self._dense[name].to(TORCH_DTYPES[entry.dtype])
        return read_tensor(entry)

    def quantized(self, layer: ResolvedLayer) -> QuantizedLayer:
        """The layer's artifact. Raises StoreError where it is missing or damaged."""
        if layer.scheme is None:
            raise AssertionError(f"{layer.name} has no scheme")
        found = self._store.get(self._keys[layer.name])
        if found.facts.get("fallback"):
            self._fallbacks[layer.name] = found.facts["fallback"]
        weight = stored_layer(found, layer.scheme.bits, layer.shape[1])
        return QuantizedLayer(weight, found.facts["relative_error"], found.facts["relative_output_error"])

    def restored(self, layer: str, weight: Tensor) -> Tensor:
        """A layer's dequantized weight as it acts in the network before smoothing: scales taken back."""
        for plan in self._plans:
            if layer in plan.layer_keys:
                return self._moved(plan).restored(plan.unit.relative(layer), weight)
        return weight

    @property
    def smoothed(self) -> frozenset[str]:
        """Dense tensors, by written name, that only gave up what the layers behind them took on."""
        return frozenset(self._dense)

    def identities(self) -> dict[str, str]:
        """The artifact's key of every tensor that is not the checkpoint's: equal keys are equal tensors."""
        named = {f"{name}.weight": key for name, key in self._keys.items()}
        for plan in self._plans:
            for pair, key in plan.pair_keys.items():
                smoothed = stored_pair(pair, self._store.get(key)).dense
                named |= {f"{plan.unit.name}.{name}": key for name in smoothed}
        return named

    def notes(self) -> tuple[str, ...]:
        """What did not go as planned: layers that fell back, or could not be smoothed. Ask when written."""
        notes = [f"{name}: rounded to nearest, because {why}" for name, why in self._fallbacks.items()]
        unsmoothed = [name for plan in self._plans for name in plan.unsmoothed]
        if unsmoothed:
            notes.append(
                f"awq left {len(unsmoothed)} layers unsmoothed, because nothing feeds them alone "
                f"(clip search only): {', '.join(unsmoothed)}"
            )
        return tuple(notes)

    def _moved(self, plan: UnitPlan) -> SmoothedBlock:
        settled = [stored_pair(pair, self._store.get(key)) for pair, key in plan.pair_keys.items()]
        return SmoothedBlock(
            {},
            {linear: each.taken for each in settled for linear in each.pair.linears},
            {each.pair.source: each.rows for each in settled if each.rows is not None},
        )

    def _smoothed(self) -> dict[str, Tensor]:
        dense = {}
        for plan in self._plans:
            for pair, key in plan.pair_keys.items():
                settled = stored_pair(pair, self._store.get(key))
                for name, tensor in settled.dense.items():
                    dense[f"{plan.unit.name}.{name}"] = tensor
        return dense
