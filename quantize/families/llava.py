"""LLaVA-1.5: CLIP vision tower, two-layer projector, Llama."""

from __future__ import annotations

from quantize.families.table import Family, Single, Stack

CLIP_BLOCKS = Stack(
    component="vision",
    prefix="vision_tower.vision_model.encoder.layers",
    linears={
        "self_attn.q_proj": "attention",
        "self_attn.k_proj": "attention",
        "self_attn.v_proj": "attention",
        "self_attn.out_proj": "attention",
        "mlp.fc1": "mlp",
        "mlp.fc2": "mlp",
    },
    fused=(("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),),
)

LLAMA_BLOCKS = Stack(
    component="language",
    prefix="language_model.model.layers",
    linears={
        "self_attn.q_proj": "attention",
        "self_attn.k_proj": "attention",
        "self_attn.v_proj": "attention",
        "self_attn.o_proj": "attention",
        "mlp.gate_proj": "mlp",
        "mlp.up_proj": "mlp",
        "mlp.down_proj": "mlp",
    },
    fused=(
        ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        ("mlp.gate_proj", "mlp.up_proj"),
    ),
)

LLAVA = Family(
    name="llava",
    architectures=("LlavaForConditionalGeneration",),
    stacks=(CLIP_BLOCKS, LLAMA_BLOCKS),
    singles=(
        Single("connector", "multi_modal_projector.linear_1", "mlp"),
        Single("connector", "multi_modal_projector.linear_2", "mlp"),
        Single("language", "language_model.lm_head", "head"),
    ),
    component_prefixes=(
        ("vision_tower.", "vision"),
        ("multi_modal_projector.", "connector"),
        ("language_model.", "language"),
    ),
    renames=(
        (r"^model\.(vision_tower|multi_modal_projector)\.", r"\1."),
        (r"^model\.language_model\.", "language_model.model."),
        (r"^lm_head\.", "language_model.lm_head."),
        # transformers 5 saves the tower without the level that vLLM (and transformers 4) expects
        (r"^vision_tower\.(?!vision_model\.)", "vision_tower.vision_model."),
    ),
    targets=(
        ("vision_tower.vision_model.", r"(model\.)?vision_tower\.(vision_model\.)?"),
        ("multi_modal_projector.", r"(model\.)?multi_modal_projector\."),
        ("language_model.lm_head", r"(language_model\.)?lm_head"),
        ("language_model.model.", r"(model\.)?language_model\.(model\.)?"),
    ),
    engines=("vllm", "transformers"),
    tied_head="language_model.lm_head",
)
