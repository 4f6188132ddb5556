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


@dataclass(frozen=True, slots=True)
class LlavaShape:
    """Widths and depths of a LLaVA; its tokenizer is tiny-llava's, and by default its images are too.

    `kv_heads` are the heads of keys and values, 0 for as many as of queries; `has_class_token` says that the
    language model sees the tower's class token beside the patches.
    """

    vision_hidden: int
    vision_mlp: int
    vision_blocks: int
    hidden: int
    mlp: int
    blocks: int
    heads: int
    vocabulary: int
    kv_heads: int = 0
    image_side: int = 64
    patch: int = 8
    has_class_token: bool = False

    @property
    def image_tokens(self) -> int:
        """Tokens of an image."""
        return (self.image_side // self.patch) ** 2 + self.has_class_token


LLAVA_7B = LlavaShape(1024, 4096, 24, 4096, 11008, 32, 32, 32064)
LLAVA_1B = LlavaShape(1024, 4096, 12, 2048, 5632, 16, 32, 32064)
LLAVA_15_7B = LlavaShape(1024, 4096, 24, 4096, 11008, 32, 32, 32064, image_side=336, patch=14)
# CLIP-L/14-336 and Llama-3.2-1B, whose head is not tied here, so that it can be quantized.
CLIP_LLAMA_1B = LlavaShape(
    1024, 4096, 24, 2048, 8192, 16, 32, 128256, kv_heads=8, image_side=336, patch=14, has_class_token=True
)


def write_checkpoint(directory: Path, shape: LlavaShape) -> Path:
    """Random bf16 weights in shards, with a config and tiny-llava's processor for its size of images."""
    directory.mkdir(parents=True)
    for path in PROCESSOR.iterdir():
        if path.suffix in {".json", ".jinja"} and path.name not in {"config.json", "processor_config.json"}:
            shutil.copyfile(path, directory / path.name)
    (directory / "processor_config.json").write_text(json.dumps(_processor(shape)), encoding="utf-8")
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
        narrow = shape.hidden * (shape.kv_heads or shape.heads) // shape.heads
        for name, outputs in (("q", shape.hidden), ("k", narrow), ("v", narrow), ("o", shape.hidden)):
            yield f"{block}.self_attn.{name}_proj.weight", (outputs, shape.hidden)
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
    yield f"{tower}.embeddings.patch_embedding.weight", (width, 3, shape.patch, shape.patch)
    patches = (shape.image_side // shape.patch) ** 2
    yield f"{tower}.embeddings.position_embedding.weight", (patches + 1, width)
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
    text.update(num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads or shape.heads)
    text.update(head_dim=shape.hidden // shape.heads, vocab_size=shape.vocabulary)
    vision = dict(config["vision_config"])  # type: ignore[call-overload]
    vision.update(hidden_size=shape.vision_hidden, intermediate_size=shape.vision_mlp)
    vision.update(num_hidden_layers=shape.vision_blocks, num_attention_heads=16)
    vision.update(image_size=shape.image_side, patch_size=shape.patch)
    image = {"image_seq_length": shape.image_tokens, "vision_feature_select_strategy": _strategy(shape)}
    return {**config, **image, "text_config": text, "vision_config": vision}


def _processor(shape: LlavaShape) -> dict[str, object]:
    document: dict[str, object] = json.loads(
        (PROCESSOR / "processor_config.json").read_text(encoding="utf-8")
    )
    side = shape.image_side
    sizes = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    images = {**document["image_processor"], **sizes}  # type: ignore[dict-item]
    strategy = {"patch_size": shape.patch, "vision_feature_select_strategy": _strategy(shape)}
    return {**document, **strategy, "image_processor": images}


def _strategy(shape: LlavaShape) -> str:
    return "full" if shape.has_class_token else "default"
