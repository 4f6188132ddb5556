"""Qwen2.5-VL: a vision tower with window attention and gated MLPs, a merger of patches, Qwen2."""

from __future__ import annotations

from dataclasses import replace

from quantize.families.llava import LLAMA_BLOCKS
from quantize.families.table import Family, Single, Stack

QWEN_VISION_BLOCKS = Stack(
    component="vision",
    prefix="visual.blocks",
    linears={
        "attn.qkv": "attention",  # saved fused
        "attn.proj": "attention",
        "mlp.gate_proj": "mlp",
        "mlp.up_proj": "mlp",
        "mlp.down_proj": "mlp",
    },
    fused=(("mlp.gate_proj", "mlp.up_proj"),),
)
QWEN_BLOCKS = replace(LLAMA_BLOCKS, prefix="model.layers")

QWEN25_VL = Family(
    name="qwen2.5-vl",
    architectures=("Qwen2_5_VLForConditionalGeneration",),
    stacks=(QWEN_VISION_BLOCKS, QWEN_BLOCKS),
    singles=(
        Single("connector", "visual.merger.mlp.0", "mlp"),
        Single("connector", "visual.merger.mlp.2", "mlp"),
        Single("language", "lm_head", "head"),
    ),
    component_prefixes=(
        ("visual.merger.", "connector"),
        ("visual.", "vision"),
        ("model.", "language"),
        ("lm_head.", "language"),
    ),
    renames=(
        (r"^model\.visual\.", "visual."),
        (r"^model\.language_model\.", "model."),
        (r"^language_model\.model\.", "model."),
        (r"^language_model\.lm_head\.", "lm_head."),
    ),
    targets=(
        ("visual.", r"(model\.)?visual\."),
        ("model.", r"(model\.language_model|language_model\.model|model)\."),
        ("lm_head", r"(language_model\.)?lm_head"),
    ),
    engines=("vllm", "transformers"),
    tied_head="lm_head",
)
