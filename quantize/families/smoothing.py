"""Which outputs feed only which linears: the pairs that AWQ may move scales across, by family.

`Feeds("input_layernorm", ("self_attn.q_proj", ...))` says: inside a block, the output of
`input_layernorm` goes to these linears and nowhere else. Where a norm's output also joins the residual
stream (post-norm blocks such as the Q-Former's), or an activation that is not positively homogeneous
(GELU, QuickGELU) stands between two linears, there is no pair: no scale can pass.
The walk over the calibration samples checks every pair on the real model (`calibration.preservation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bitloom.plan import Component
from quantize.families.blip2 import BLIP2, OPT_BLOCKS, QFORMER_BLOCKS, VISION_BLOCKS
from quantize.families.blip2_itm import BLIP2_ITM, TEXT_QFORMER_BLOCKS
from quantize.families.llava import CLIP_BLOCKS, LLAMA_BLOCKS, LLAVA
from quantize.families.llava_next import LLAVA_NEXT
from quantize.families.qwen25_vl import QWEN25_VL, QWEN_BLOCKS, QWEN_VISION_BLOCKS
from quantize.families.table import Family


@dataclass(frozen=True, slots=True)
class Feeds:
    """`source` feeds only `linears`; names are relative to the block.

    A linear source gives up scales of its output rows, of which `part` (k, n) takes the k-th of n equal
    parts: the values of a fused query-key-value linear are (2, 3). `needs` are config keys of the
    component's section and the values that the pair holds for; the first is the default for a missing key.
    """

    source: str
    linears: tuple[str, ...]
    is_norm: bool = True
    part: tuple[int, int] = (0, 1)
    needs: tuple[tuple[str, tuple[Any, ...]], ...] = ()


_PRE_NORM = (("do_layer_norm_before", (True,)),)
_QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")

_LLAMA = (
    Feeds("input_layernorm", _QKV),
    Feeds("self_attn.v_proj", ("self_attn.o_proj",), is_norm=False),
    Feeds("post_attention_layernorm", ("mlp.gate_proj", "mlp.up_proj")),
    Feeds("mlp.up_proj", ("mlp.down_proj",), is_norm=False),
)
_CLIP = (
    Feeds("layer_norm1", _QKV),
    Feeds("self_attn.v_proj", ("self_attn.out_proj",), is_norm=False),
    Feeds("layer_norm2", ("mlp.fc1",)),
)
_BLIP2_VISION = (
    Feeds("layer_norm1", ("self_attn.qkv",)),
    Feeds("self_attn.qkv", ("self_attn.projection",), is_norm=False, part=(2, 3)),
    Feeds("layer_norm2", ("mlp.fc1",)),
)
_OPT = (
    Feeds("self_attn_layer_norm", _QKV, needs=_PRE_NORM),
    Feeds("self_attn.v_proj", ("self_attn.out_proj",), is_norm=False),
    Feeds("final_layer_norm", ("fc1",), needs=_PRE_NORM),
    Feeds("fc1", ("fc2",), is_norm=False, needs=(("activation_function", ("relu",)),)),
)
_QFORMER = (
    Feeds("attention.attention.value", ("attention.output.dense",), is_norm=False),
    Feeds("crossattention.attention.value", ("crossattention.output.dense",), is_norm=False),
)
_QWEN_VISION = (
    Feeds("norm1", ("attn.qkv",)),
    Feeds("attn.qkv", ("attn.proj",), is_norm=False, part=(2, 3)),
    Feeds("norm2", ("mlp.gate_proj", "mlp.up_proj")),
    Feeds("mlp.up_proj", ("mlp.down_proj",), is_norm=False),
)

SMOOTHING: Mapping[str, Mapping[str, tuple[Feeds, ...]]] = MappingProxyType(
    {
        LLAVA.name: {CLIP_BLOCKS.prefix: _CLIP, LLAMA_BLOCKS.prefix: _LLAMA},
        LLAVA_NEXT.name: {CLIP_BLOCKS.prefix: _CLIP, LLAMA_BLOCKS.prefix: _LLAMA},
        QWEN25_VL.name: {QWEN_VISION_BLOCKS.prefix: _QWEN_VISION, QWEN_BLOCKS.prefix: _LLAMA},
        BLIP2_ITM.name: {VISION_BLOCKS.prefix: _BLIP2_VISION, TEXT_QFORMER_BLOCKS.prefix: _QFORMER},
        BLIP2.name: {
            VISION_BLOCKS.prefix: _BLIP2_VISION,
            QFORMER_BLOCKS.prefix: _QFORMER,
            OPT_BLOCKS.prefix: _OPT,
        },
    }
)
_SECTIONS = {"vision": "vision_config", "connector": "qformer_config", "language": "text_config"}


def config_section(config: Mapping[str, Any], component: Component) -> Mapping[str, Any]:
    """The part of `config.json` about a component; some families keep the language model's at the top."""
    section: Mapping[str, Any] = config.get(_SECTIONS[component], config if component == "language" else {})
    return section


def smoothing_pairs(family: Family, config: Mapping[str, Any], prefix: str) -> tuple[Feeds, ...]:
    """The pairs of a stack's blocks that hold for this checkpoint's config; () for an unknown stack."""
    component = next((stack.component for stack in family.stacks if stack.prefix == prefix), None)
    section = config_section(config, component) if component else {}
    pairs = SMOOTHING.get(family.name, {}).get(prefix, ())
    return tuple(
        pair for pair in pairs if all(section.get(key, allowed[0]) in allowed for key, allowed in pair.needs)
    )
