"""Which tensors an engine leaves out of memory because nothing reads them.

LLaVA takes the tower's features from a block before the last (`vision_feature_layer`, -2 where the config is
silent). vLLM builds the tower up to that block and without the norm behind it (`models/llava.py`, 0.32);
transformers keeps what the checkpoint holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from quantize.checkpoint import Checkpoint

_FAMILIES = frozenset({"llava", "llava-next"})
_TOWER = "vision_tower.vision_model."
_BLOCK = re.compile(r"^vision_tower\.vision_model\.encoder\.layers\.(\d+)\.")
_DEFAULT_LAYER = -2


def left_out_by_vllm(checkpoint: Checkpoint) -> Callable[[str], bool]:
    """Whether vLLM does without a tensor (written name)."""
    if checkpoint.family.name not in _FAMILIES:
        return lambda _: False
    blocks = 1 + max(int(found[1]) for name in checkpoint.tensors if (found := _BLOCK.match(name)))
    layers = checkpoint.config.get("vision_feature_layer", _DEFAULT_LAYER)
    chosen = layers if isinstance(layers, list) else [layers]
    # Hidden state 0 is the embeddings', so block b writes number b + 1.
    kept = max(layer if layer >= 0 else blocks + layer + 1 for layer in chosen)

    def is_left_out(name: str) -> bool:
        block = _BLOCK.match(name)
        return name.startswith(f"{_TOWER}post_layernorm.") or (block is not None and int(block[1]) >= kept)

    return is_left_out
