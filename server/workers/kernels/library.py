"""The C library by ctypes: what it takes, its calls on addresses, and a check of itself when it is loaded."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_void_p
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from server.workers.kernels.build import BuildError, library_path

logger = logging.getLogger(__name__)

ISAS = ("portable", "avx2", "avx512")
CHOICE_VARIABLE = "BITLOOM_KERNELS"
ACTIVATIONS_VARIABLE = "BITLOOM_KERNEL_ACTIVATIONS"
FLOAT32, BFLOAT16 = 0, 1
EXACT, INT8 = 0, 1
GROUPS = (32, 64, 128)


class KernelError(ValueError):
    """The library refused a call; the message is its own."""


class CWeight(ctypes.Structure):
    """`bl_weight` of kernels.h."""

    _fields_ = (
        ("packed", c_void_p),
        ("scales", c_void_p),
        ("zero_points", c_void_p),
        ("bias", c_void_p),
        ("packed_bytes", c_int64),
        ("outputs", c_int64),
        ("inputs", c_int64),
        ("bits", c_int32),
        ("group", c_int32),
        ("scales_are_bf16", c_int32),
    )


@dataclass(frozen=True, slots=True)
class Kernels:
    """The loaded library and the instruction set that calls use, by its place in ISAS."""

    library: ctypes.CDLL
    isa: int

    def check(self, code: int) -> None:
        """Raise KernelError unless `code` says that the call was done."""
        if code:
            raise KernelError(self.library.bl_message(code).decode())

    def packed_bytes(self, bits: int, outputs: int, inputs: int) -> int:
        """Bytes of the packed values; KernelError for what is not taken."""
        size = int(self.library.bl_packed_bytes(bits, outputs, inputs))
        if size < 0:
            raise KernelError(f"{bits} bits, {outputs} x {inputs}: {self.library.bl_message(1).decode()}")
        return size


@functools.cache
def kernels() -> Kernels | None:
    """The library, built on first use; None, with one line in the log, where it is not to be had.

    BITLOOM_KERNELS chooses: `off`, or the best instruction set to use (portable, avx2, avx512).
    """
    choice = os.environ.get(CHOICE_VARIABLE, "")
    if choice and choice not in (*ISAS, "off"):
        raise ValueError(f"{CHOICE_VARIABLE}={choice}: one of off, {', '.join(ISAS)}")
    if choice == "off":
        logger.warning("%s=off: packed weights are dequantized at load: dense in memory", CHOICE_VARIABLE)
        return None
    try:
        library = load(library_path())
    except (BuildError, OSError) as exc:
        logger.warning(
            "no packed kernels (%s): weights are dequantized at load: dense in memory, no faster", exc
        )
        return None
    best = int(library.bl_best_isa())
    wanted = min(best, ISAS.index(choice)) if choice else best
    return Kernels(library, _trusted_isa(library, wanted))


@functools.cache
def rounds_activations() -> bool:
    """Whether products round activations to 8 bits a group: BITLOOM_KERNEL_ACTIVATIONS, `exact` or `int8`."""
    choice = os.environ.get(ACTIVATIONS_VARIABLE) or "exact"
    if choice not in ("exact", "int8"):
        raise ValueError(f"{ACTIVATIONS_VARIABLE}={choice}: one of exact, int8")
    return choice == "int8"


def load(path: Path) -> ctypes.CDLL:
    """Open the library and declare its functions."""
    library = ctypes.CDLL(str(path))
    weight = POINTER(CWeight)
    library.bl_best_isa.argtypes, library.bl_best_isa.restype = [], c_int
    library.bl_message.argtypes, library.bl_message.restype = [c_int], c_char_p
    library.bl_packed_bytes.argtypes = [c_int, c_int64, c_int64]
    library.bl_packed_bytes.restype = c_int64
    library.bl_scale_count.argtypes = [c_int, c_int64, c_int64]
    library.bl_scale_count.restype = c_int64
    library.bl_repack.argtypes = [c_void_p, c_int64, c_int, c_int64, c_int64, c_void_p, c_int64, c_int]
    integers = (c_int, c_int, c_int, c_int)
    library.bl_linear.argtypes = [weight, c_void_p, c_int64, c_int64, c_void_p, c_int64, *integers]
    library.bl_dequantize.argtypes = [weight, c_int64, c_int64, c_void_p, c_int, c_int]
    return library


def _trusted_isa(library: ctypes.CDLL, wanted: int) -> int:
    """The best instruction set up to `wanted` that agrees with plain C++ on a small product."""
    expected = _probe(library, 0)
    for isa in range(wanted, 0, -1):
        if all(np.array_equal(a, b) for a, b in zip(_probe(library, isa), expected, strict=True)):
            return isa
        logger.warning("the %s kernels disagree with plain C++ on this machine: not used", ISAS[isa])
    return 0


def _probe(library: ctypes.CDLL, isa: int) -> list[np.ndarray]:
    """Products of fixed random weights of each width with 9 rows."""
    generator = np.random.default_rng(0)
    outputs, inputs, rows = 19, 96, 9
    x = generator.standard_normal((rows, inputs)).astype(np.float32)
    products = []
    for bits in range(2, 9):
        size = int(library.bl_packed_bytes(bits, outputs, inputs))
        packed = generator.integers(0, 256, size, dtype=np.uint8)
        count = int(library.bl_scale_count(32, outputs, inputs))
        scales = generator.random(count, dtype=np.float32)
        weight = CWeight(
            packed.ctypes.data, scales.ctypes.data, None, None, size, outputs, inputs, bits, 32, 0
        )
        y = np.zeros((rows, outputs), np.float32)
        code = library.bl_linear(
            weight, x.ctypes.data, inputs, rows, y.ctypes.data, outputs, FLOAT32, EXACT, isa, 1
        )
        products.append(y if code == 0 else np.full((1,), np.nan))
    return products
