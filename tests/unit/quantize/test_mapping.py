"""AWQ's mapping groups: a plan that mixes inside one is refused from the headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitloom.errors import PlanError
from bitloom.plan import Plan
from quantize.checkpoint import open_checkpoint
from quantize.mapping import check_mapping_groups
from quantize.resolve import ResolvedLayer, resolve
from quantize.scheme import Scheme

GATE, UP = (f"language_model.model.layers.1.mlp.{name}_proj" for name in ("gate", "up"))


def layers_with(base: Path, schemes: dict[str, Scheme | None]) -> tuple[ResolvedLayer, ...]:
    """All layers AWQ at 4 bits, some with other schemes (which a plan cannot reach: engines fuse these)."""
    rules = [{"bits": 4, "method": "awq", "group_size": 64}]
    plan = Plan.parse({"name": "p", "base": str(base), "rules": rules}, source="test")
    found = []
    for layer in resolve(plan, open_checkpoint(str(base))):
        fields: dict[str, Any] = {name: getattr(layer, name) for name in layer.__dataclass_fields__}
        found.append(ResolvedLayer(**{**fields, "scheme": schemes.get(layer.name, layer.scheme)}))
    return tuple(found)


def test_one_scheme_in_each_group_passes(llava_base: Path) -> None:
    check_mapping_groups(open_checkpoint(str(llava_base)), layers_with(llava_base, {}))


@pytest.mark.parametrize(
    ("other", "named"),
    [(Scheme(4, "gptq", 64), "4-bit gptq"), (Scheme(3, "awq", 64), "3-bit awq"), (None, "16-bit")],
)
@pytest.mark.parametrize("member", [GATE, UP])
def test_other_methods_or_bits_beside_awq_are_refused(
    llava_base: Path, member: str, other: Scheme | None, named: str
) -> None:
    with pytest.raises(PlanError, match="give both the same method and bits") as caught:
        check_mapping_groups(open_checkpoint(str(llava_base)), layers_with(llava_base, {member: other}))
    assert GATE in str(caught.value)
    assert UP in str(caught.value)
    assert named in str(caught.value)
    assert "post_attention_layernorm" in str(caught.value)


def test_groups_without_awq_may_mix(llava_base: Path) -> None:
    gptq = Scheme(4, "gptq", 64)
    found = layers_with(llava_base, {GATE: gptq, UP: Scheme(3, "rtn", 64)})
    check_mapping_groups(open_checkpoint(str(llava_base)), found)
