"""What a worker says of its memory once its model is loaded, and what was predicted: names and parsing.

A worker has these among its metrics, without a `variant`; the gateway has them for each variant, and the
prediction beside them (`server/metrics.py`). Bytes are those of tensors: parameters and buffers, storage that
several share counted once, and weights that an engine keeps in a layout of its own.

    bitloom_worker_weight_bytes{component}      what the component's tensors take
    bitloom_worker_loaded_resident_bytes        the worker's resident set when its model was loaded
    bitloom_worker_loaded_peak_bytes            the most that any of its processes had until then
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bitloom.plan import COMPONENTS, Component

WORKER_PREFIX, GATEWAY_PREFIX = "bitloom_worker_", "bitloom_"
WEIGHTS, PREDICTED = "weight_bytes", "predicted_weight_bytes"
RESIDENT, PEAK = "loaded_resident_bytes", "loaded_peak_bytes"
_SAMPLE = re.compile(r"^(bitloom_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

# What names a component in a module's or a tensor's name, in every engine; first match first.
_PLACES: tuple[tuple[re.Pattern[str], Component], ...] = (
    (re.compile(r"(^|\.)visual\.merger\."), "connector"),
    (
        re.compile(
            r"(^|\.)(multi_modal_projector|image_newline|qformer|query_tokens|language_projection"
            r"|vision_projection|text_projection|itm_head)(\.|$)"
        ),
        "connector",
    ),
    (re.compile(r"^(model\.)?embeddings\."), "connector"),  # of the Q-Former that reads the text itself
    (re.compile(r"(^|\.)(vision_tower|vision_model|visual)(\.|$)"), "vision"),
)


@dataclass(frozen=True, slots=True)
class LoadedMemory:
    """Bytes of a loaded worker: its tensors by component, what was predicted of them (empty where nothing
    was), its resident set and the peak on the way there (None where they are not known)."""

    weights: Mapping[Component, int]
    resident_bytes: int | None = None
    peak_bytes: int | None = None
    predicted: Mapping[Component, int] = field(default_factory=dict)


def component_of(name: str) -> Component:
    """The component of a module or tensor by its name in the checkpoint, transformers or vLLM."""
    for pattern, component in _PLACES:
        if pattern.search(name) is not None:
            return component
    return "language"


def parse_worker(metrics: str) -> LoadedMemory | None:
    """What a worker's own metrics say; None where they say nothing of it."""
    return _parse(metrics, WORKER_PREFIX, {})


def parse_gateway(metrics: str, variant: str) -> LoadedMemory | None:
    """What a gateway's metrics say of one variant; None where they say nothing of it."""
    return _parse(metrics, GATEWAY_PREFIX, {"variant": variant})


def labelled(metrics: str, name: str) -> list[dict[str, str]]:
    """The labels of every sample of a metric."""
    return [dict(_LABEL.findall(labels)) for found, labels, _ in _SAMPLE.findall(metrics) if found == name]


def _parse(metrics: str, prefix: str, wanted: Mapping[str, str]) -> LoadedMemory | None:
    totals: dict[str, int] = {}
    by_component: dict[str, dict[Component, int]] = {WEIGHTS: {}, PREDICTED: {}}
    for name, text, value in _SAMPLE.findall(metrics):
        labels, kind = dict(_LABEL.findall(text)), name.removeprefix(prefix)
        if any(labels.get(key) != each for key, each in wanted.items()):
            continue
        if kind in (RESIDENT, PEAK):
            totals[kind] = int(float(value))
        elif kind in by_component:
            for component in COMPONENTS:
                if labels.get("component") == component:
                    by_component[kind][component] = int(float(value))
    if not by_component[WEIGHTS]:
        return None
    return LoadedMemory(
        by_component[WEIGHTS], totals.get(RESIDENT), totals.get(PEAK), by_component[PREDICTED]
    )
