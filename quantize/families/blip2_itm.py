"""BLIP-2 for image-text matching (`Blip2ForImageTextRetrieval`): its Q-Former reads the text itself.

Calibration runs the matching head, which sees picture and text at once. The two projections of the
contrastive head are not on that way and are left dense: they are its last 256 outputs, and tiny. vLLM has
no such model; the transformers worker serves it.
"""

from __future__ import annotations

from dataclasses import replace

from quantize.families.blip2 import QFORMER_BLOCKS, VISION_BLOCKS
from quantize.families.table import Family, Single

TEXT_QFORMER_BLOCKS = replace(
    QFORMER_BLOCKS,
    linears={**QFORMER_BLOCKS.linears, "intermediate.dense": "mlp", "output.dense": "mlp"},
)

BLIP2_ITM = Family(
    name="blip-2-itm",
    architectures=("Blip2ForImageTextRetrieval",),
    stacks=(VISION_BLOCKS, TEXT_QFORMER_BLOCKS),
    singles=(Single("connector", "itm_head", "head"),),
    component_prefixes=(
        ("vision_model.", "vision"),
        ("query_tokens", "connector"),
        ("embeddings.", "connector"),
        ("qformer.", "connector"),
        ("vision_projection.", "connector"),
        ("text_projection.", "connector"),
        ("itm_head.", "connector"),
    ),
    renames=((r"^model\.", ""),),
    targets=(
        ("vision_model.", r"vision_model\."),
        ("qformer.", r"qformer\."),
        ("itm_head", r"itm_head"),
    ),
    engines=("transformers",),
    tied_head=None,
    forward=(("use_image_text_matching_head", True),),
)
