"""What an engine says of its key-value cache in its own metrics."""

from __future__ import annotations

import re

_CACHE = re.compile(r"^vllm:(?:kv|gpu)_cache_usage_perc(?:\{([^}]*)\})? (\S+)", re.MULTILINE)
_NAMED = re.compile(r'(?:^|,)(?:variant|model_name)="([^"]*)"')


def parse_cache(metrics: str, model: str) -> float | None:
    """The share of the engine's cache in use, by vLLM's metric; None where it is not among the metrics.

    Of several engines it is the one that is labelled with the model's name.
    """
    found = [(set(_NAMED.findall(labels)), float(value)) for labels, value in _CACHE.findall(metrics)]
    own = [value for names, value in found if model in names]
    if own:
        return max(own)
    return found[0][1] if len(found) == 1 else None
