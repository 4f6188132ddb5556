"""What quantizing cost each layer, as JSON and as a plot."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from bitloom.files import write_atomic
from bitloom.plan import COMPONENTS
from bitloom.variant import LayerRecord, VariantManifest

_COLORS = {"rtn": "#999999", "gptq": "#1f77b4", "awq": "#d95f02"}


def write_report(manifest: VariantManifest, directory: Path) -> None:
    """Write `layers.json` and `layers.svg` into `directory`, which is made where it is missing.

    The errors are relative: of a layer's outputs on held-out calibration samples where it was
    calibrated, of its weights elsewhere. Raises BitloomError where the files cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    document = {
        "name": manifest.name,
        "plan_hash": manifest.plan_hash,
        "calibration_hash": manifest.calibration_hash,
        "bpw": manifest.total.bpw,
        "notes": list(manifest.notes),
        "layers": [_row(layer) for layer in manifest.layers if layer.method is not None],
    }
    write_atomic(directory / "layers.json", json.dumps(document, indent=2) + "\n")
    write_atomic(directory / "layers.svg", _plot(manifest))


def _row(layer: LayerRecord) -> dict[str, Any]:
    return {
        "name": layer.name,
        "component": layer.component,
        "block": layer.block,
        "layer_type": layer.layer_type,
        "bits": layer.bits,
        "method": layer.method,
        "group_size": layer.group_size,
        "relative_error": layer.relative_error,
        "relative_output_error": layer.relative_output_error,
    }


def _plot(manifest: VariantManifest) -> bytes:
    """One panel a component: the error of each layer in the model's order, coloured by method."""
    # matplotlib takes a second to import, which quantizing without a report need not wait
    from matplotlib.figure import Figure

    quantized = [layer for layer in manifest.layers if layer.method is not None]
    parts = [(c, [layer for layer in quantized if layer.component == c]) for c in COMPONENTS]
    parts = [(component, layers) for component, layers in parts if layers]
    figure = Figure(figsize=(9, 1 + 2.2 * max(1, len(parts))), layout="constrained")
    for index, (component, layers) in enumerate(parts, start=1):
        axes = figure.add_subplot(len(parts), 1, index)
        ordered = sorted(layers, key=lambda layer: (layer.block is None, layer.block or 0, layer.name))
        errors = [_error(layer) for layer in ordered]
        axes.bar(range(len(ordered)), errors, color=[_COLORS[layer.method or "rtn"] for layer in ordered])
        axes.set_title(f"{component}: {', '.join(sorted({f'{x.bits} bits {x.method}' for x in layers}))}")
        axes.set_ylabel("relative error")
        axes.set_xticks(range(len(ordered)), [_label(layer) for layer in ordered], rotation=90, fontsize=5)
    figure.suptitle(f"{manifest.name}: {manifest.total.bpw:.2f} bits per weight")
    content = io.BytesIO()
    figure.savefig(content, format="svg")
    return content.getvalue()


def _error(layer: LayerRecord) -> float:
    if layer.relative_output_error is not None:
        return layer.relative_output_error
    return layer.relative_error or 0.0


def _label(layer: LayerRecord) -> str:
    last = layer.name.rpartition(".")[2]
    return last if layer.block is None else f"{layer.block} {last}"
