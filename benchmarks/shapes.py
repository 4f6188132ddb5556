"""Random checkpoints in the shape of large models, written a tensor at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantize.write.layout import TensorSpec
from quantize.write.shards import ShardWriter

PROCESSOR = Path("zoo/tiny-llava")
IMAGE_SIDE, PATCH = 64, 8


@dataclass(frozen=True, slots=True)
class LlavaShape:
    """Widths and depths of a LLaVA; its images and vocabulary are tiny-llava's: its processor fits."""

    vision_hidden: int
    vision_mlp: int
    vision_blocks: int
    hidden: int
    mlp: int
    blocks: int
    heads: int
    vocabulary: int


LLAVA_7B = LlavaShape(1024, 4096, 24, 4096, 11008, 32, 32, 32064)
LLAVA_1B = LlavaShape(1024, 4096, 12, 2048, 5632, 16, 32, 32064)


def write_checkpoint(directory: Path, shape: LlavaShape) -> Path:
    """Random bf16 weights in shards, with a config and tiny-llava's processor."""
    directory.mkdir(parents=True)
    for path in PROCESSOR.iterdir():
        if path.suffix in {".json", ".jinja"} and path.name != "config.json":
            shutil.copyfile(path, directory / path.name)
    (directory / "config.json").write_text(json.dumps(_config(shape)), encoding="utf-8")
    specs = [TensorSpec(name, "BF16", sizes) for name, sizes in _tensors(shape)]
    generator = np.random.default_rng(0)
    with ShardWriter(directory, specs) as shards:
        for spec in specs:
            shards.write(spec.name, _values(spec, generator))
    return directory


def _values(spec: TensorSpec, generator: np.random.Generator) -> np.ndarray:
    """Normal weights scaled by their inputs, norms of one; bf16 by its upper half of float32's bits."""
    if len(spec.shape) == 1:
        values = np.full(spec.shape, 1.0 if spec.name.endswith("weight") else 0.0, dtype=np.float32)
    else:
        values = generator.standard_normal(spec.shape, dtype=np.float32)
        values /= np.sqrt(np.prod(spec.shape[1:]))
    return (values.view(np.uint32) >> 16).astype("<u2")


def _tensors(shape: LlavaShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _vision(shape)
    yield "multi_modal_projector.linear_1.weight", (shape.hidden, shape.vision_hidden)
    yield "multi_modal_projector.linear_1.bias", (shape.hidden,)
    yield "multi_modal_projector.linear_2.weight", (shape.hidden, shape.hidden)
    yield "multi_modal_projector.linear_2.bias", (shape.hidden,)
    yield "language_model.model.embed_tokens.weight", (shape.vocabulary, shape.hidden)
    for block in (f"language_model.model.layers.{n}" for n in range(shape.blocks)):
        for name in "qkvo":
            yield f"{block}.self_attn.{name}_proj.weight", (shape.hidden, shape.hidden)
        for name in ("gate", "up"):
            yield f"{block}.mlp.{name}_proj.weight", (shape.mlp, shape.hidden)
        yield f"{block}.mlp.down_proj.weight", (shape.hidden, shape.mlp)
        yield f"{block}.input_layernorm.weight", (shape.hidden,)
        yield f"{block}.post_attention_layernorm.weight", (shape.hidden,)
    yield "language_model.model.norm.weight", (shape.hidden,)
    yield "language_model.lm_head.weight", (shape.vocabulary, shape.hidden)


def _vision(shape: LlavaShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, tower = shape.vision_hidden, "vision_tower.vision_model"
    yield f"{tower}.embeddings.class_embedding", (width,)
    yield f"{tower}.embeddings.patch_embedding.weight", (width, 3, PATCH, PATCH)
    yield f"{tower}.embeddings.position_embedding.weight", ((IMAGE_SIDE // PATCH) ** 2 + 1, width)
    norms = [f"{tower}.pre_layrnorm", f"{tower}.post_layernorm"]
    for block in (f"{tower}.encoder.layers.{n}" for n in range(shape.vision_blocks)):
        linears = {f"self_attn.{name}": (width, width) for name in ("q_proj", "k_proj", "v_proj", "out_proj")}
        linears |= {"mlp.fc1": (shape.vision_mlp, width), "mlp.fc2": (width, shape.vision_mlp)}
        for name, sizes in linears.items():
            yield f"{block}.{name}.weight", sizes
            yield f"{block}.{name}.bias", sizes[:1]
        norms += [f"{block}.layer_norm1", f"{block}.layer_norm2"]
    for norm in norms:
        yield f"{norm}.weight", (width,)
        yield f"{norm}.bias", (width,)


def _config(shape: LlavaShape) -> dict[str, object]:
    config: dict[str, object] = json.loads((PROCESSOR / "config.json").read_text(encoding="utf-8"))
    text = dict(config["text_config"])  # type: ignore[call-overload]
    text.update(hidden_size=shape.hidden, intermediate_size=shape.mlp, num_hidden_layers=shape.blocks)
    text.update(num_attention_heads=shape.heads, num_key_value_heads=shape.heads)
    text.update(head_dim=shape.hidden // shape.heads, vocab_size=shape.vocabulary)
    vision = dict(config["vision_config"])  # type: ignore[call-overload]
    vision.update(hidden_size=shape.vision_hidden, intermediate_size=shape.vision_mlp)
    vision.update(num_hidden_layers=shape.vision_blocks, num_attention_heads=16)
    return {**config, "text_config": text, "vision_config": vision}
