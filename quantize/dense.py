"""Plans as dense weights for a live engine: only what differs from the plan before.

A mixture of any methods and widths, dequantized, has the one layout of the base checkpoint, so an engine
that has loaded the base can take on plan after plan in place. Weights come from the artifact store, which
one calibration pass fills with what all plans want. Every number is the one that the real variant's
kernels compute with, in float32; what a variant stores dense is rounded as it stores it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import Tensor

from bitloom.errors import BitloomError, PlanError
from bitloom.plan import Plan
from bitloom.variant import Footprint
from quantize.layers import list_layers
from quantize.preview import Preview, preview
from quantize.source import DirectSource, TensorSource
from quantize.store.location import default_root
from quantize.store.objects import ObjectStore

if TYPE_CHECKING:
    from quantize.artifacts.source import StoreSource
    from quantize.calibration.passes import CalibrationPass

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A plan whose artifacts are at hand; `identities` names what each changed tensor would be, by name."""

    preview: Preview
    source: TensorSource
    identities: dict[str, str]


class DenseAssembly:
    """Plans of one base checkpoint and one calibration, ready to be written as dense weights.

    `refusals` are the plans (by hash) that do not fit the checkpoint, with the reason.
    """

    def __init__(self, preparer: _Preparer, first: Preview) -> None:
        self.refusals: dict[str, BitloomError] = {}
        self._preparer = preparer
        self._ready: dict[str, _Ready] = {}
        checkpoint = first.checkpoint
        self._directory = checkpoint.directory
        self._tensors = checkpoint.tensors
        self._groups = {layer.name: layer.siblings or (layer.name,) for layer in list_layers(checkpoint)}
        self._base = DirectSource(checkpoint)

    @property
    def model(self) -> Path:
        """The base checkpoint's directory, which the engine loads once."""
        return self._directory

    def footprint(self, plan: Plan) -> Footprint:
        """What the plan's variant weighs. Raises PlanError where the plan does not fit."""
        return self._of(plan).preview.total

    def write_changes(self, path: Path, plan: Plan, before: Plan | None) -> int:
        """Write the tensors in which `plan` differs from `before` (None: the base); return how many.

        Whole modules are written, with the siblings that an engine fuses them with, since an engine
        prepares a module's weights together. Raises PlanError, StoreError.
        """
        tensors = self._changed(plan, before)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        return len(tensors)

    def differences(self, plan: Plan) -> dict[str, Tensor]:
        """What rounding adds to each tensor of the base, float32. Raises as above.

        Scales that AWQ moves from one tensor to the next change the tensors, not the model: they are taken
        back first.
        """
        from quantize.artifacts.source import StoreSource

        ready = self._of(plan)
        changed = self._changed(plan, None)
        if isinstance(ready.source, StoreSource):
            layers = {f"{layer.name}.weight": layer.name for layer in ready.preview.layers if layer.scheme}
            changed = {
                name: ready.source.restored(layers[name], tensor) if name in layers else tensor
                for name, tensor in changed.items()
                if name not in ready.source.smoothed
            }
        return {name: tensor - self._base.dense(name).to(torch.float32) for name, tensor in changed.items()}

    def _changed(self, plan: Plan, before: Plan | None) -> dict[str, Tensor]:
        ready = self._of(plan)
        old = {} if before is None else self._of(before).identities
        names = {*ready.identities, *old}
        changed = {name for name in names if ready.identities.get(name) != old.get(name)}
        modules = {member for name in changed for member in self._fused(name.rpartition(".")[0])}
        layers = {f"{layer.name}.weight": layer for layer in ready.preview.layers}
        tensors: dict[str, Tensor] = {}
        for name in self._tensors:
            if name.rpartition(".")[0] not in modules:
                continue
            layer = layers.get(name)
            if layer is None or layer.scheme is None:
                tensors[name] = ready.source.dense(name).to(torch.float32)
                continue
            weight = ready.source.quantized(layer).weight
            dense = weight.dequantize()
            # What the engine holds dense was rounded to the checkpoint's dtype when it was stored.
            tensors[name] = dense.to(weight.scales.dtype).to(torch.float32) if layer.stored_dense else dense
        return tensors

    def add(self, plans: Sequence[Plan]) -> None:
        """Make plans ready; those that do not fit become refusals. Raises DataError, StoreError."""
        fitting: dict[str, tuple[Plan, Preview]] = {}
        for plan in plans:
            if plan.hash in self._ready:
                continue
            try:
                fitting[plan.hash] = (plan, _checked(plan))
            except PlanError as exc:
                self.refusals[plan.hash] = exc
        self._ready |= self._preparer.prepare(fitting)

    def _of(self, plan: Plan) -> _Ready:
        if plan.hash not in self._ready and plan.hash not in self.refusals:
            self.add([plan])
        if plan.hash in self.refusals:
            raise self.refusals[plan.hash]
        return self._ready[plan.hash]

    def _fused(self, module: str) -> tuple[str, ...]:
        return self._groups.get(module, (module,))


def open_assembly(plans: Sequence[Plan], store: Path | None = None) -> DenseAssembly:
    """Resolve all plans and fill the store with what they want, in one calibration pass.

    Plans that are asked for later are made ready then. Raises PlanError where no plan fits; the errors of
    a single plan are kept as its refusal. CheckpointError, DataError and StoreError are everybody's.
    """
    refusal: PlanError | None = None
    for plan in plans:
        try:
            first = _checked(plan)
        except PlanError as exc:
            refusal = refusal or exc
            continue
        assembly = DenseAssembly(_Preparer(plan, first, ObjectStore(store or default_root())), first)
        assembly.add(plans)
        return assembly
    raise PlanError(f"no plan of {len(plans)} fits its checkpoint; the first: {refusal}")


def _checked(plan: Plan) -> Preview:
    """The plan's preview. Raises PlanError where it does not fit, or cannot be had from dense weights."""
    if plan.calibration.mode != "independent":
        raise PlanError(
            f"plan {plan.name}: its calibration is {plan.calibration.mode}, so no two plans share a "
            "layer; a study needs calibration: {mode: independent}"
        )
    planned = preview(plan)
    if any(layer.scheme is not None and layer.scheme.activations == 8 for layer in planned.layers):
        raise PlanError(
            f"plan {plan.name}: 8-bit activations cannot be had from dense weights; leave `activations` "
            "out of studies, and build the variant to measure it"
        )
    return planned


class _Preparer:
    """Makes plans of one base and one calibration ready; the calibration pass is shared by all."""

    def __init__(self, plan: Plan, first: Preview, store: ObjectStore) -> None:
        self._plan = plan
        self._checkpoint = first.checkpoint
        self._store = store
        self._calibrated: CalibrationPass | None = None

    def prepare(self, planned: Mapping[str, tuple[Plan, Preview]]) -> dict[str, _Ready]:
        """Plans by hash with the source of their tensors; only what the store lacks is computed."""
        learning: dict[str, Preview] = {}
        ready: dict[str, _Ready] = {}
        for key, (plan, each) in planned.items():
            if (plan.base, plan.calibration) != (self._plan.base, self._plan.calibration):
                raise PlanError(
                    f"plans {self._plan.name} and {plan.name} differ in base or calibration; study them apart"
                )
            if any(layer.scheme and layer.scheme.method != "rtn" for layer in each.layers):
                learning[key] = each
            else:
                ready[key] = _Ready(each, DirectSource(each.checkpoint), dict(_schemes(each)))
        return ready | self._learnt(learning)

    def _learnt(self, planned: Mapping[str, Preview]) -> dict[str, _Ready]:
        if not planned:
            return {}
        from quantize.artifacts.prepare import prepare_independent
        from quantize.calibration.passes import CalibrationPass

        self._calibrated = self._calibrated or CalibrationPass(self._checkpoint, self._plan.calibration)
        found = prepare_independent(
            self._calibrated,
            [each.layers for each in planned.values()],
            self._store,
            lambda name, done, total: logger.info("%s: unit %d of %d", name, done, total),
        )
        return {
            key: _Ready(each, source, _identities(each, source))
            for (key, each), source in zip(planned.items(), found, strict=True)
        }


def _identities(planned: Preview, source: StoreSource) -> dict[str, str]:
    """Layers that are rounded to nearest are named as in plans that are nothing else."""
    rounded = {
        f"{layer.name}.weight" for layer in planned.layers if layer.scheme and layer.scheme.method == "rtn"
    }
    named = {name: key for name, key in source.identities().items() if name not in rounded}
    return named | {name: scheme for name, scheme in _schemes(planned) if name in rounded}


def _schemes(planned: Preview) -> Iterator[tuple[str, str]]:
    """Rounding to nearest depends on the weight and the scheme alone."""
    for layer in planned.layers:
        if layer.scheme is not None:
            yield f"{layer.name}.weight", repr(layer.scheme)
