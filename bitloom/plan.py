"""The plan: which bits, method and group size each layer of a checkpoint gets.

Rules are read as CSS is: each applies to the layers it matches, and a later rule overrides an
earlier one field by field. What a rule leaves out keeps the value that earlier rules gave, or the
default (16 bits, that is: not quantized). Resolution against a checkpoint is `quantize.resolve`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from bitloom.blocks import parse_blocks
from bitloom.errors import InputError, PlanError
from bitloom.schema import Schema

Component = Literal["vision", "connector", "language"]
COMPONENTS: tuple[Component, ...] = ("vision", "connector", "language")
LayerType = Literal["attention", "cross_attention", "mlp", "head"]
LAYER_TYPES: tuple[LayerType, ...] = ("attention", "cross_attention", "mlp", "head")
Method = Literal["rtn", "gptq", "awq"]
GroupSize = Literal[32, 64, 128, "channel"]
SETTINGS = ("bits", "method", "group_size", "symmetric", "activations", "container_bits", "clip")
Bits = Annotated[int, Field(ge=2, le=16)]


class Rule(Schema):
    """A set of layers (`component`, `blocks`, `layers`) and the fields that it sets on them.

    `bits` 16 leaves a layer as it is. `activations` 8 with 8-bit weights is W8A8 (dynamic, per token).
    `container_bits` stores low-bit values in a wider container, for engines without the narrow kernel.
    `clip` searches each group's clipping ratio instead of spanning its extremes (rtn, gptq; awq always does).
    """

    file_error: ClassVar[type[InputError]] = PlanError

    component: Component | Literal["all"] = "all"
    blocks: str = "all"
    layers: LayerType | Literal["all"] = "all"
    bits: Bits | None = None
    method: Method | None = None
    group_size: GroupSize | None = None
    symmetric: bool | None = None
    activations: Literal[8, 16] | None = None
    container_bits: Literal[4, 8] | None = None
    clip: bool | None = None

    @field_validator("bits")
    @classmethod
    def _bits_exist(cls, bits: int | None) -> int | None:
        if bits is not None and bits != 16 and not 2 <= bits <= 8:
            raise ValueError(f"bits must be 2..8 or 16, not {bits}")
        return bits

    @field_validator("blocks")
    @classmethod
    def _blocks_parse(cls, blocks: str) -> str:
        parse_blocks(blocks)
        return blocks

    @model_validator(mode="after")
    def _sets_something(self) -> Self:
        if not self.settings:
            raise ValueError(f"a rule must set at least one of {', '.join(SETTINGS)}")
        return self

    @property
    def settings(self) -> dict[str, object]:
        """The fields this rule sets, by name."""
        return {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}


class Calibration(Schema):
    """Where the image-text pairs that GPTQ and AWQ learn from come from, and how they are used.

    `sequential`: each block sees its quantized predecessors, best for a variant to deploy.
    `independent`: all blocks see the full-precision model, so plans share their artifacts; best for
    studies. The weights say how much a vision and a text token of the language model count.
    """

    dataset: str = "scenes"
    split: str = "calibration"
    samples: Annotated[int, Field(ge=1)] = 128
    seed: int = 0
    mode: Literal["sequential", "independent"] = "sequential"
    vision_weight: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 1.0
    text_weight: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 1.0

    @model_validator(mode="after")
    def _counts_something(self) -> Self:
        if self.vision_weight == self.text_weight == 0:
            raise ValueError("vision_weight and text_weight are both 0: no token would count; raise one")
        return self


class Gptq(Schema):
    """How GPTQ walks: `damping` is a fraction of the Hessian's mean diagonal, raised where it must be.

    `act_order` takes the inputs that matter most first, and needs `static_groups`: scales fitted to the
    original weights, not to what the walk has made of them by then.
    """

    act_order: bool = True
    static_groups: bool = True
    damping: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.01

    @model_validator(mode="after")
    def _act_order_has_static_groups(self) -> Self:
        if self.act_order and not self.static_groups:
            raise ValueError("act_order walks across groups: set static_groups: true, or act_order: false")
        return self


class Plan(Schema):
    """A named, complete description of a variant: a base checkpoint and rules.

    `engine: transformers` asks for a variant that only transformers has to load: layers that vLLM could hold
    only dense (BLIP-2's Q-Former and language projection) are packed as well.
    """

    file_error: ClassVar[type[InputError]] = PlanError

    schema_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
    base: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]
    calibration: Calibration = Calibration()
    gptq: Gptq | None = None
    engine: Literal["transformers"] | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of everything but the name: equal plans make equal variants."""
        document = self.model_dump(mode="json", exclude={"name"}, exclude_none=True)
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
