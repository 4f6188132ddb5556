"""Tiny random checkpoints of the real architectures, as transformers 5.19 saves them.

They are written without transformers, so that tests of plans and files start at once;
`write/test_transformers_load.py` proves that transformers finds every weight it expects in them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from quantize.write.layout import TensorSpec
from quantize.write.shards import ShardWriter

WIDTH, HIDDEN, BLOCKS, HEADS, VOCABULARY = 128, 256, 3, 4, 160
KV_WIDTH = 64
Shapes = dict[str, tuple[int, ...]]


def _config(model_type: str, **more: Any) -> dict[str, Any]:
    shape = {"hidden_size": WIDTH, "num_hidden_layers": BLOCKS, "num_attention_heads": HEADS}
    return {"model_type": model_type, **shape, **more}


def _linear(name: str, outputs: int, inputs: int, bias: bool = True) -> Shapes:
    weight: Shapes = {f"{name}.weight": (outputs, inputs)}
    return weight | {f"{name}.bias": (outputs,)} if bias else weight


def _norm(name: str) -> Shapes:
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def _clip(prefix: str) -> Shapes:
    shapes: Shapes = {
        f"{prefix}.embeddings.class_embedding": (WIDTH,),
        f"{prefix}.embeddings.patch_embedding.weight": (WIDTH, 3, 16, 16),
        f"{prefix}.embeddings.position_embedding.weight": (5, WIDTH),
    }
    for block in (f"{prefix}.encoder.layers.{index}" for index in range(BLOCKS)):
        for linear in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _linear(f"{block}.self_attn.{linear}", WIDTH, WIDTH)
        shapes |= _linear(f"{block}.mlp.fc1", HIDDEN, WIDTH) | _linear(f"{block}.mlp.fc2", WIDTH, HIDDEN)
        shapes |= _norm(f"{block}.layer_norm1") | _norm(f"{block}.layer_norm2")
    return shapes | _norm(f"{prefix}.pre_layrnorm") | _norm(f"{prefix}.post_layernorm")


def _llama(prefix: str) -> Shapes:
    shapes: Shapes = {f"{prefix}.embed_tokens.weight": (VOCABULARY, WIDTH), f"{prefix}.norm.weight": (WIDTH,)}
    for block in (f"{prefix}.layers.{index}" for index in range(BLOCKS)):
        for linear, outputs in (("q", WIDTH), ("k", KV_WIDTH), ("v", KV_WIDTH), ("o", WIDTH)):
            shapes |= _linear(f"{block}.self_attn.{linear}_proj", outputs, WIDTH, bias=False)
        for linear, outputs, inputs in (
            ("gate", HIDDEN, WIDTH),
            ("up", HIDDEN, WIDTH),
            ("down", WIDTH, HIDDEN),
        ):
            shapes |= _linear(f"{block}.mlp.{linear}_proj", outputs, inputs, bias=False)
        shapes |= {f"{block}.input_layernorm.weight": (WIDTH,)}
        shapes |= {f"{block}.post_attention_layernorm.weight": (WIDTH,)}
    return shapes


def _blip2_vision() -> Shapes:
    shapes: Shapes = {
        "vision_model.embeddings.class_embedding": (1, 1, WIDTH),
        "vision_model.embeddings.position_embedding": (1, 5, WIDTH),
        "vision_model.embeddings.patch_embedding.weight": (WIDTH, 3, 16, 16),
        "vision_model.embeddings.patch_embedding.bias": (WIDTH,),
    }
    for block in (f"vision_model.encoder.layers.{index}" for index in range(BLOCKS)):
        shapes |= _linear(f"{block}.self_attn.qkv", 3 * WIDTH, WIDTH)
        shapes |= _linear(f"{block}.self_attn.projection", WIDTH, WIDTH)
        shapes |= _linear(f"{block}.mlp.fc1", HIDDEN, WIDTH) | _linear(f"{block}.mlp.fc2", WIDTH, HIDDEN)
        shapes |= _norm(f"{block}.layer_norm1") | _norm(f"{block}.layer_norm2")
    return shapes | _norm("vision_model.post_layernorm")


def _qformer() -> Shapes:
    shapes: Shapes = {"query_tokens": (1, 4, WIDTH), **_norm("qformer.layernorm")}
    for index in range(BLOCKS):
        block = f"qformer.encoder.layer.{index}"
        for attention in ("attention", "crossattention") if index % 2 == 0 else ("attention",):
            for linear in ("query", "key", "value"):
                shapes |= _linear(f"{block}.{attention}.attention.{linear}", WIDTH, WIDTH)
            shapes |= _linear(f"{block}.{attention}.output.dense", WIDTH, WIDTH)
            shapes |= _norm(f"{block}.{attention}.output.LayerNorm")
        shapes |= _linear(f"{block}.intermediate_query.dense", HIDDEN, WIDTH)
        shapes |= _linear(f"{block}.output_query.dense", WIDTH, HIDDEN)
        shapes |= _norm(f"{block}.output_query.LayerNorm")
    return shapes | _linear("language_projection", WIDTH, WIDTH)


def _opt(prefix: str) -> Shapes:
    shapes: Shapes = {
        f"{prefix}.embed_tokens.weight": (VOCABULARY, WIDTH),
        f"{prefix}.embed_positions.weight": (66, WIDTH),
        **_norm(f"{prefix}.final_layer_norm"),
    }
    for block in (f"{prefix}.layers.{index}" for index in range(BLOCKS)):
        for linear in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _linear(f"{block}.self_attn.{linear}", WIDTH, WIDTH)
        shapes |= _linear(f"{block}.fc1", HIDDEN, WIDTH) | _linear(f"{block}.fc2", WIDTH, HIDDEN)
        shapes |= _norm(f"{block}.self_attn_layer_norm") | _norm(f"{block}.final_layer_norm")
    return shapes


LLAVA_SHAPES = (
    _clip("vision_tower")
    | _linear("multi_modal_projector.linear_1", WIDTH, WIDTH)
    | _linear("multi_modal_projector.linear_2", WIDTH, WIDTH)
    | _llama("language_model.model")
    | _linear("language_model.lm_head", VOCABULARY, WIDTH, bias=False)
)
BLIP2_SHAPES = _blip2_vision() | _qformer() | _opt("language_model.model.decoder")

LLAVA_CONFIG = {
    "architectures": ["LlavaForConditionalGeneration"],
    "model_type": "llava",
    "dtype": "bfloat16",
    "image_token_index": 4,
    "tie_word_embeddings": False,
    "vision_config": _config("clip_vision_model", intermediate_size=HIDDEN, image_size=32, patch_size=16),
    "text_config": _config(
        "llama",
        intermediate_size=HIDDEN,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        max_position_embeddings=64,
        tie_word_embeddings=False,
    ),
}
BLIP2_CONFIG = {
    "architectures": ["Blip2ForConditionalGeneration"],
    "model_type": "blip-2",
    "dtype": "bfloat16",
    "image_token_index": 4,
    "num_query_tokens": 4,
    "vision_config": _config("blip_2_vision_model", intermediate_size=HIDDEN, image_size=32, patch_size=16),
    "qformer_config": _config(
        "blip_2_qformer", intermediate_size=HIDDEN, encoder_hidden_size=WIDTH, vocab_size=VOCABULARY
    ),
    "text_config": _config(
        "opt",
        ffn_dim=HIDDEN,
        word_embed_proj_dim=WIDTH,
        vocab_size=VOCABULARY,
        max_position_embeddings=64,
    ),
}


def write_base(directory: Path, config: dict[str, Any], shapes: Shapes) -> Path:
    """A bfloat16 checkpoint of normal weights, with companions whose content does not matter."""
    directory.mkdir()
    generator = np.random.default_rng(0)
    specs = [TensorSpec(name, "BF16", shape) for name, shape in shapes.items()]
    with ShardWriter(directory, specs) as shards:
        for name, shape in shapes.items():
            values = generator.normal(0, 0.1, shape).astype(np.float32)
            shards.write(name, (values.view(np.uint32) >> 16).astype("<u2"))
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer.json").write_text('{"version": "1.0"}')
    (directory / "chat_template.jinja").write_text("{{ messages }}")
    (directory / "README.md").write_text("the base's card")
    return directory


@pytest.fixture(scope="session")
def llava_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LLaVA: 3 CLIP blocks, projector, 3 Llama blocks with grouped-query attention, untied head."""
    return write_base(tmp_path_factory.mktemp("bases") / "llava", LLAVA_CONFIG, LLAVA_SHAPES)


@pytest.fixture(scope="session")
def blip2_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BLIP-2: 3 vision blocks, 3 Q-Former blocks (cross-attention in 0 and 2), 3 OPT blocks, tied head."""
    return write_base(tmp_path_factory.mktemp("bases") / "blip2", BLIP2_CONFIG, BLIP2_SHAPES)


@pytest.fixture
def llava_copy(llava_base: Path, tmp_path: Path) -> Path:
    """A copy of the LLaVA that a test may damage."""
    return Path(shutil.copytree(llava_base, tmp_path / "llava"))


def _random_batches(family: str, *, count: int, held_out: int = 0) -> tuple[Any, ...]:
    from quantize.calibration.batches import Batch

    generator = torch.Generator().manual_seed(0)
    batches = []
    for index in range(count + held_out):
        text = torch.randint(5, VOCABULARY, (2, 6 + index), generator=generator)
        ids = torch.cat([torch.full((2, 4), 4), text], 1)  # four image tokens, as both families make
        inputs = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "pixel_values": torch.randn(2, 3, 32, 32, generator=generator),
        }
        names = (f"{family} sample {2 * index}", f"{family} sample {2 * index + 1}")
        batches.append(Batch(names, inputs, torch.ones(ids.shape), is_held_out=index >= count))
    return tuple(batches)


@pytest.fixture(scope="session")
def random_batches() -> Callable[..., tuple[Any, ...]]:
    """A function of a family and counts: calibration batches of two random samples each."""
    return _random_batches
