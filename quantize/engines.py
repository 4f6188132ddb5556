"""Which engine loads a variant, and what it needs for that (docs/adr/0001-dense-packing.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bitloom.variant import Engine
from quantize.families import Family
from quantize.resolve import ResolvedLayer

_PADDED_BITS = frozenset({3, 5, 6, 7})
_HALF = frozenset({"BF16"})


@dataclass(frozen=True, slots=True)
class EngineSupport:
    """Whether `engine` loads the variant: `needs` is None where a stock install does, else what it takes.

    An engine that has no model for the family at all does not load it (`is_loadable` False).
    """

    engine: str
    is_loadable: bool
    needs: str | None

    def __str__(self) -> str:
        """`vLLM on CPU: yes, with Bitloom's plugin (...)`."""
        if not self.is_loadable:
            return f"{self.engine}: no, {self.needs}"
        return f"{self.engine}: yes, {'stock' if self.needs is None else self.needs}"


def engines_of(family: Family, layers: Iterable[ResolvedLayer]) -> tuple[Engine, ...]:
    """The engines that load a checkpoint of these layers: not vLLM where it reads a packed one only dense."""
    if any(layer.packed_scheme is not None and family.dense_reason(layer.name) for layer in layers):
        return tuple(engine for engine in family.engines if engine != "vllm")
    return family.engines


def engine_support(family: Family, layers: tuple[ResolvedLayer, ...]) -> tuple[EngineSupport, ...]:
    """What loads a checkpoint of these layers; the CUDA line is read from vLLM's source."""
    reason = None
    if "vllm" not in family.engines:
        reason = f"vLLM has no model for {family.name}"
    elif "vllm" not in engines_of(family, layers):
        reason = "the plan's `engine` is transformers, and layers are packed that vLLM reads only dense"
    packed = [layer for layer in layers if layer.packed_scheme is not None]
    widths = {layer.packed_scheme.stored_bits for layer in packed if layer.packed_scheme}
    return (
        _vllm("vLLM on CUDA", reason, _cuda_needs(widths)),
        _vllm("vLLM on CPU", reason, _cpu_needs(packed)),
        EngineSupport("transformers", "transformers" in family.engines, _transformers_needs(widths)),
    )


def _vllm(engine: str, reason_not: str | None, needs: str | None) -> EngineSupport:
    return EngineSupport(engine, reason_not is None, needs if reason_not is None else reason_not)


def _cuda_needs(widths: set[int]) -> str | None:
    odd = sorted(widths - {4, 8})
    if not odd:
        return None
    return f"with compute capability 7.5 or newer ({_listed(odd)}-bit kernels)"


def _cpu_needs(packed: list[ResolvedLayer]) -> str | None:
    """vLLM's own CPU kernels take 4 bits in bfloat16, and W8A8; our plugin everything else."""
    own = {
        layer.packed_scheme.stored_bits
        for layer in packed
        if layer.packed_scheme
        and layer.packed_scheme.activations == 16
        and not (layer.packed_scheme.stored_bits == 4 and layer.dtype in _HALF)
    }
    return f"with Bitloom's plugin ({_listed(sorted(own))}-bit layers)" if own else None


def _transformers_needs(widths: set[int]) -> str | None:
    padded = sorted(widths & _PADDED_BITS)
    if not padded:
        return None
    return f"with compressed-tensors >= 0.18, or the backport ({_listed(padded)}-bit layers; see the note)"


def _listed(widths: list[int]) -> str:
    return ", ".join(map(str, widths))
