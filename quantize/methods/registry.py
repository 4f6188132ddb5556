"""The methods by their name in a plan. A method is available once it stands in this table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bitloom.errors import PlanError
from quantize.methods.awq import quantize_awq
from quantize.methods.base import MethodFunction
from quantize.methods.gptq import quantize_gptq
from quantize.methods.rtn import quantize_rtn

METHODS: Mapping[str, MethodFunction] = MappingProxyType(
    {"rtn": quantize_rtn, "gptq": quantize_gptq, "awq": quantize_awq}
)


def find_method(name: str) -> MethodFunction:
    """The method called `name`; PlanError where this version has none."""
    if name not in METHODS:
        raise PlanError(f"method {name}: not available yet; use one of {', '.join(sorted(METHODS))}")
    return METHODS[name]
