"""Pictures of a study: the Pareto front of size and quality, and the errors of a variant's blocks."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bitloom.study.observations import Observations
from bitloom.study.search.report import pareto
from bitloom.variant import VariantManifest

INCHES = (8.0, 4.5)
Z95 = 1.96
BlockErrors = dict[str, dict[int, float]]


def front_rows(observations: Observations) -> list[list[str]]:
    """The plans of the front, smallest first: features, size, score. Empty without sizes."""
    if observations.sizes is None:
        return []
    rows = []
    for index in pareto(observations.sizes, observations.scores):
        cells = [_value(observations, feature, int(index)) for feature in range(len(observations.features))]
        rows.append([*cells, f"{observations.sizes[index]:.4g}", f"{observations.scores[index]:.4g}"])
    return rows


def front_figure(observations: Observations, size_unit: str) -> Figure:
    """All plans by size and score, the front as a line, 95 % intervals where standard errors are known."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    sizes = observations.sizes if observations.sizes is not None else np.zeros(len(observations))
    axes.scatter(sizes, observations.scores, s=10, color="#9aa5b1", label="plans")
    front = pareto(sizes, observations.scores)
    errors = observations.standard_errors
    bars = None if errors is None else Z95 * errors[front]
    axes.errorbar(
        sizes[front],
        observations.scores[front],
        yerr=bars,
        marker="o",
        color="#c2410c",
        label="front",
        capsize=2,
    )
    axes.set_xlabel(size_unit)
    axes.set_ylabel(observations.score)
    axes.legend()
    return figure


def block_errors(variant: VariantManifest) -> BlockErrors:
    """Mean relative output error of each block's quantized layers, by component; weights' where unknown."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for layer in variant.layers:
        error = layer.relative_output_error
        error = layer.relative_error if error is None else error
        if error is not None and layer.block is not None:
            found[layer.component][layer.block].append(error)
    return {
        component: {block: float(np.mean(errors)) for block, errors in sorted(blocks.items())}
        for component, blocks in found.items()
    }


def profile_figure(variant: VariantManifest) -> Figure:
    """A line a component: the error of each of its blocks."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    for component, blocks in block_errors(variant).items():
        axes.plot(list(blocks), list(blocks.values()), marker="o", label=component)
    axes.set_xlabel("block")
    axes.set_ylabel("mean relative error")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def _value(observations: Observations, feature: int, row: int) -> str:
    value = float(observations.values[row, feature])
    known = observations.categories.get(observations.features[feature])
    return known[int(value)] if known else f"{value:g}"
