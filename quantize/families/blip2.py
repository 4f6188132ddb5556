"""BLIP-2 (captioning and VQA): Blip2 vision model, Q-Former, OPT."""

from __future__ import annotations

from quantize.families.table import DenseOnly, Family, Single, Stack

VISION_BLOCKS = Stack(
    component="vision",
    prefix="vision_model.encoder.layers",
    linears={
        "self_attn.qkv": "attention",  # saved fused
        "self_attn.projection": "attention",
        "mlp.fc1": "mlp",
        "mlp.fc2": "mlp",
    },
)

QFORMER_BLOCKS = Stack(
    component="connector",
    prefix="qformer.encoder.layer",
    linears={
        "attention.attention.query": "attention",
        "attention.attention.key": "attention",
        "attention.attention.value": "attention",
        "attention.output.dense": "attention",
        "crossattention.attention.query": "cross_attention",
        "crossattention.attention.key": "cross_attention",
        "crossattention.attention.value": "cross_attention",
        "crossattention.output.dense": "cross_attention",
        "intermediate_query.dense": "mlp",
        "output_query.dense": "mlp",
    },
)

OPT_BLOCKS = Stack(
    component="language",
    prefix="language_model.model.decoder.layers",
    linears={
        "self_attn.q_proj": "attention",
        "self_attn.k_proj": "attention",
        "self_attn.v_proj": "attention",
        "self_attn.out_proj": "attention",
        "fc1": "mlp",
        "fc2": "mlp",
    },
    fused=(("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),),
)

_PLAIN_LINEAR = "vLLM builds them as plain nn.Linear, which no quantization config reaches"

BLIP2 = Family(
    name="blip-2",
    architectures=("Blip2ForConditionalGeneration",),
    stacks=(VISION_BLOCKS, QFORMER_BLOCKS, OPT_BLOCKS),
    singles=(
        Single("connector", "language_projection", "mlp"),
        Single("language", "language_model.lm_head", "head"),
    ),
    component_prefixes=(
        ("vision_model.", "vision"),
        ("query_tokens", "connector"),
        ("qformer.", "connector"),
        ("language_projection.", "connector"),
        ("language_model.", "language"),
    ),
    renames=(
        (r"^model\.(vision_model|qformer|query_tokens|language_projection)", r"\1"),
        (r"^model\.language_model\.(?!model\.)", "language_model.model."),
        (r"^model\.language_model\.", "language_model."),
        (r"^lm_head\.", "language_model.lm_head."),
    ),
    targets=(
        ("vision_model.", r"(vision_model)?\.?"),  # vLLM's tower has no prefix: `.encoder.layers.0...`
        ("language_model.", r"language_model\."),
        ("qformer.", r"qformer\."),
        ("language_projection", r"language_projection"),
    ),
    engines=("vllm", "transformers"),
    tied_head="language_model.lm_head",
    tied_by_default=True,
    dense_only=(
        DenseOnly("qformer.", "vllm", _PLAIN_LINEAR),
        DenseOnly("language_projection", "vllm", _PLAIN_LINEAR),
    ),
    bare_prefix="vision_model.",
)
