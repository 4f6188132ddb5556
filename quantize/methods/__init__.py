"""Quantization methods: each one function from a weight, its statistics and a scheme to integers."""

from quantize.methods.base import LayerStatistics, MethodFunction, QuantizedWeight
from quantize.methods.registry import METHODS, find_method

__all__ = ["METHODS", "LayerStatistics", "MethodFunction", "QuantizedWeight", "find_method"]
