"""How large a variant is: per component and in all, stored, resident, and in bits per weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bitloom.plan import COMPONENTS, Component
from bitloom.tensors import DTYPE_BYTES, FLOAT_DTYPES
from bitloom.variant import Engine, Footprint
from quantize.checkpoint import Checkpoint
from quantize.engines import engines_of
from quantize.write.layout import OutputTensor
from quantize.write.unread import left_out_by_vllm


def footprints(
    checkpoint: Checkpoint, outputs: tuple[OutputTensor, ...]
) -> tuple[Footprint, dict[Component, Footprint]]:
    """Footprint of the whole, and of each component that has tensors."""
    parts: dict[Component, list[OutputTensor]] = {}
    for output in outputs:
        component = checkpoint.family.component_of(output.name)
        if component is None:
            raise AssertionError(f"{output.name} belongs to no component")
        parts.setdefault(component, []).append(output)
    layers = [output.layer for output in outputs if output.layer is not None]
    engines = engines_of(checkpoint.family, layers)
    skips = left_out_by_vllm(checkpoint)
    components = {name: _footprint(parts[name], engines, skips) for name in COMPONENTS if name in parts}
    return _footprint(outputs, engines, skips), components


def _footprint(
    outputs: Iterable[OutputTensor], engines: tuple[Engine, ...], skips: Callable[[str], bool]
) -> Footprint:
    outputs = tuple(outputs)
    floats = tuple(output for output in outputs if output.entry.dtype in FLOAT_DTYPES)
    parameters = sum(output.entry.count for output in floats)
    stored_bytes = sum(output.stored_bytes for output in outputs)
    resident: dict[Engine, int] = {
        "vllm": sum(output.resident_bytes for output in outputs if not skips(output.name)),
        "transformers": sum(output.resident_bytes for output in outputs),
    }
    return Footprint(
        parameters=parameters,
        quantized_parameters=sum(output.entry.count for output in outputs if _is_packed(output)),
        stored_bytes=stored_bytes,
        bpw=8 * stored_bytes / parameters,
        bpw_paper=sum(_nominal_bits(output) * output.entry.count for output in floats) / parameters,
        resident_bytes={engine: resident[engine] for engine in engines},
    )


def _is_packed(output: OutputTensor) -> bool:
    return output.layer is not None and output.layer.packed_scheme is not None


def _nominal_bits(output: OutputTensor) -> int:
    if output.layer is not None and output.layer.scheme is not None:
        return output.layer.scheme.bits
    return 8 * DTYPE_BYTES[output.entry.dtype]
