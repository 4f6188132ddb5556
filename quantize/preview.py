"""What quantizing a plan will give, from the plan and the headers alone: no torch, no weights read."""

from __future__ import annotations

from dataclasses import dataclass

from bitloom.plan import Component, Plan
from bitloom.variant import Engine, Footprint
from quantize.checkpoint import Checkpoint, open_checkpoint
from quantize.engines import EngineSupport, engine_support, engines_of
from quantize.mapping import check_mapping_groups
from quantize.memory import peak_bytes
from quantize.resolve import ResolvedLayer, notes, resolve
from quantize.write.footprint import footprints
from quantize.write.layout import OutputTensor, plan_outputs
from quantize.write.manifest import engine_notes


@dataclass(frozen=True, slots=True)
class Preview:
    """What quantizing a plan will give, from headers alone."""

    checkpoint: Checkpoint
    layers: tuple[ResolvedLayer, ...]
    outputs: tuple[OutputTensor, ...]
    total: Footprint
    components: dict[Component, Footprint]
    engines: tuple[Engine, ...]
    notes: tuple[str, ...]

    @property
    def peak_bytes(self) -> int:
        """An estimate of the memory that quantizing takes (see `memory`)."""
        return peak_bytes(self.checkpoint, self.layers, self.outputs)

    @property
    def support(self) -> tuple[EngineSupport, ...]:
        """Which engine loads the variant, and with what."""
        return engine_support(self.checkpoint.family, self.layers)

    def lines(self) -> tuple[str, ...]:
        """What there is to say beside the sizes."""
        return (
            f"engines: {', '.join(self.engines)}",
            *(f"  {each}" for each in self.support),
            f"peak memory: about {self.peak_bytes / 2**20:,.0f} MiB beside the interpreter and activations",
            *(f"note: {note}" for note in self.notes),
        )


def preview(plan: Plan) -> Preview:
    """Resolve `plan` against its checkpoint without reading weights.

    Raises CheckpointError where the base cannot be used, PlanError where the plan does not fit it.
    """
    checkpoint = open_checkpoint(plan.base, plan.revision)
    layers = resolve(plan, checkpoint)
    check_mapping_groups(checkpoint, layers)
    return describe(checkpoint, layers)


def describe(checkpoint: Checkpoint, layers: tuple[ResolvedLayer, ...]) -> Preview:
    """What writing a checkpoint with these layers will give."""
    outputs = plan_outputs(checkpoint, layers)
    total, components = footprints(checkpoint, outputs)
    all_notes = (*notes(layers), *engine_notes(layers))
    return Preview(
        checkpoint, layers, outputs, total, components, engines_of(checkpoint.family, layers), all_notes
    )
