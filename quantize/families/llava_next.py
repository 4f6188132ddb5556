"""LLaVA-NeXT (LLaVA-1.6): LLaVA-1.5's parts, images in tiles, a learnt line break between rows of tiles."""

from __future__ import annotations

from dataclasses import replace

from quantize.families.llava import LLAVA

LLAVA_NEXT = replace(
    LLAVA,
    name="llava-next",
    architectures=("LlavaNextForConditionalGeneration",),
    component_prefixes=(*LLAVA.component_prefixes, ("image_newline", "connector")),
    renames=((r"^model\.image_newline$", "image_newline"), *LLAVA.renames),
)
