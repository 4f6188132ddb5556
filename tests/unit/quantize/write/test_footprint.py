"""What engines keep of a checkpoint, by component."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitloom.memory import component_of
from quantize.checkpoint import Checkpoint, open_checkpoint
from quantize.write.footprint import footprints
from quantize.write.layout import plan_outputs

BLOCK, NORM = "vision_tower.vision_model.encoder.layers.{}.", "vision_tower.vision_model.post_layernorm."


def left_out(base: Path) -> int:
    """Bytes of the tower that vLLM keeps less than transformers."""
    checkpoint = open_checkpoint(str(base))
    _, components = footprints(checkpoint, plan_outputs(checkpoint, ()))
    resident = components["vision"].resident_bytes
    assert components["language"].resident_bytes["vllm"] == components["language"].stored_bytes
    return resident["transformers"] - resident["vllm"]


def size(checkpoint: Checkpoint, *prefixes: str) -> int:
    return sum(entry.size for name, entry in checkpoint.tensors.items() if name.startswith(prefixes))


@pytest.mark.parametrize(
    ("layer", "blocks"), [(None, (2,)), (-1, ()), (-3, (1, 2)), (1, (1, 2)), ([-2, 1], (2,)), (3, ())]
)
def test_vllm_leaves_out_blocks_behind_the_features(llava_base: Path, layer: Any, blocks: tuple[int]) -> None:
    path = llava_base / "config.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document if layer is None else {**document, "vision_feature_layer": layer}))
    expected = size(open_checkpoint(str(llava_base)), NORM, *(BLOCK.format(block) for block in blocks))
    assert left_out(llava_base) == expected > 0


def test_of_other_families_all_is_kept(blip2_base: Path) -> None:
    assert left_out(blip2_base) == 0


def test_components_are_those_that_workers_report(llava_base: Path) -> None:
    checkpoint = open_checkpoint(str(llava_base))
    _, components = footprints(checkpoint, plan_outputs(checkpoint, ()))
    for name, footprint in components.items():
        own = [entry.size for tensor, entry in checkpoint.tensors.items() if component_of(tensor) == name]
        assert footprint.stored_bytes == sum(own)
