"""What the operator allows the workers: memory, eviction, and how many failures close a variant."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from bitloom.schema import Schema

Bytes = Annotated[int, Field(gt=0)]


class GpuBudget(Schema):
    """A GPU by its index, and the bytes of it that the variants may use."""

    index: Annotated[int, Field(ge=0)]
    memory_bytes: Bytes


class PlacementConfig(Schema):
    """Memory that local variants may use: on GPUs where any is given, else of the machine; None: no limit.

    With `evict` a variant that does not fit takes the place of those that were idle longest, save the
    arms and shadows of routes.
    """

    memory_bytes: Bytes | None = None
    gpus: tuple[GpuBudget, ...] = ()
    evict: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        indices = [gpu.index for gpu in self.gpus]
        if self.gpus and (self.memory_bytes is not None or len(set(indices)) < len(indices)):
            raise ValueError("give memory_bytes, or different gpus: variants run on one kind of memory")
        return self


class CircuitConfig(Schema):
    """After so many failed answers in a row a variant is left alone for `open_s` seconds."""

    failures: Annotated[int, Field(gt=0)] = 20
    open_s: Annotated[float, Field(gt=0)] = 10
