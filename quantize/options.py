"""How methods go about it, beyond what a scheme says; apart from them, so that plans need no torch."""

from __future__ import annotations

from dataclasses import dataclass

from bitloom.errors import InputError

WALK_WEIGHTS = 1 << 26  # weights that GPTQ walks at once, over all widths: four float32 arrays of this size


@dataclass(frozen=True, slots=True)
class GptqOptions:
    """How the walk goes; the defaults are the most accurate ones on the models in `zoo/`.

    `damping` is a fraction of the Hessian's mean diagonal; `block` a number of columns; `clip` searches
    each group's clipping ratio (`clipping.py`) instead of spanning its extremes.
    """

    damping: float = 0.01
    act_order: bool = True
    static_groups: bool = True
    block: int = 128
    clip: bool = False
    keep_better_rows: bool = True

    def __post_init__(self) -> None:
        if self.act_order and not self.static_groups:
            raise InputError("act_order walks across groups: set static_groups=True, or act_order=False")
