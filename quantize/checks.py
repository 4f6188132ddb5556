"""What a layer's scheme must satisfy, each refused with the layer and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bitloom.errors import PlanError
from quantize.layers import Layer
from quantize.scheme import Scheme

GROUP_SIZES = (32, 64, 128)


def check_scheme(layer: Layer, scheme: Scheme, *, is_stored_dense: bool) -> None:
    """Raise PlanError unless `layer` can be quantized and stored by `scheme`."""
    _check_group(layer, scheme)
    _check_container(layer, scheme)
    _check_activations(layer, scheme, is_stored_dense=is_stored_dense)
    _check_zero_points(layer, scheme)


def check_fused(layers: Iterable[Layer], schemes: Mapping[str, Scheme | None]) -> None:
    """Raise PlanError where layers that an engine merges into one matrix have different schemes."""
    for layer in layers:
        for sibling in layer.siblings:
            if sibling in schemes and schemes[sibling] != schemes[layer.name]:
                raise PlanError(
                    f"{layer.name} would be {_describe(schemes[layer.name])}, "
                    f"{sibling} {_describe(schemes[sibling])}; "
                    "engines hold the two as one matrix: give both the same scheme"
                )


def _check_group(layer: Layer, scheme: Scheme) -> None:
    inputs = layer.shape[1]
    if inputs % scheme.group_width(inputs):
        possible = [str(size) for size in GROUP_SIZES if inputs % size == 0]
        raise PlanError(
            f"{layer.name}: group size {scheme.group_size} does not divide its {inputs} inputs; "
            f"use {', '.join([*possible, 'channel'])}"
        )


def _check_container(layer: Layer, scheme: Scheme) -> None:
    if scheme.container_bits is not None and scheme.container_bits < scheme.bits:
        raise PlanError(
            f"{layer.name}: {scheme.bits}-bit values do not fit a {scheme.container_bits}-bit container; "
            "use container_bits: 8, or fewer bits"
        )


def _check_activations(layer: Layer, scheme: Scheme, *, is_stored_dense: bool) -> None:
    if scheme.activations == 16:
        return
    if is_stored_dense:
        raise PlanError(
            f"{layer.name}: activations: 8 needs a layer that the engine quantizes, and it holds this one "
            "dense; set activations: 16 for its component"
        )
    if scheme.bits != 8 or not scheme.symmetric or scheme.group_size != "channel" or scheme.container_bits:
        raise PlanError(
            f"{layer.name}: activations: 8 (W8A8) needs bits: 8, symmetric: true, group_size: channel and no "
            f"container; this layer would be {_describe(scheme)}"
        )


def _check_zero_points(layer: Layer, scheme: Scheme) -> None:
    # Engines concatenate the zero points of fused siblings, packed along the outputs, word by word.
    if not scheme.symmetric and layer.siblings and layer.shape[0] * scheme.stored_bits % 32:
        raise PlanError(
            f"{layer.name}: its {layer.shape[0]} zero points of {scheme.stored_bits} bits end inside a "
            "32-bit word, so it cannot be fused with its siblings; use symmetric: true"
        )


def _describe(scheme: Scheme | None) -> str:
    if scheme is None:
        return "16-bit (dense)"
    symmetry = "symmetric" if scheme.symmetric else "asymmetric"
    return f"{scheme.bits}-bit {scheme.method}, group size {scheme.group_size}, {symmetry}"
