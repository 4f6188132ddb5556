"""Decode, prefill and memory of a LLaVA on this CPU: ours at 2..8 bits, vLLM's bf16, llama.cpp.

    python -m benchmarks.cpu_decode [--only four | eight | rest | kernel] [--decode-only]

The model has the shape of CLIP-L/14-336 and Llama-3.2-1B and random weights (`benchmarks/decode/models.py`).
Its head is not tied to the embeddings, so that it can be quantized; llama.cpp's has the head's own weights in
the same type as all others. Everyone has two threads.

Engines run in groups, with vLLM's bf16 in each; within a group they stay loaded and take turns, a few tokens
each after a short prompt, and ratios are of the best tokens of the same turns. Then each reads an image and
text, which takes a slow machine minutes and which `--decode-only` leaves out. bf16 and `stock w4` are vLLM
without our plugin.
The share of the bandwidth is of the bytes that a token must read (all weights of the language model but the
embeddings), against what two threads read of an array no cache holds, measured between the turns.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import torch

from benchmarks.decode.kernel import Bandwidth, one_row_share
from benchmarks.decode.rivals import PROMPT_TOKENS, THREADS, Rival, RivalError, model_of, running
from benchmarks.harness import Figures
from bitloom.tensors import index_tensors

GROUPS: Mapping[str, tuple[str, ...]] = {
    "four": ("bf16", "stock w4", "w4", "w4 int8", "w3", "llama Q4_0"),
    "eight": ("bf16", "w8", "w8 int8", "w8a8", "llama Q8_0"),
    "rest": ("bf16", "w2", "w5", "w6", "w7"),
}
KERNEL = "kernel"
EIGHTS = ("w8a8", "w8 int8")  # 8-bit weights and activations, by vLLM's kernel and by ours
RIVALS = ("bf16", "llama Q4_0", "llama Q8_0")
PREFILL = "prefill speed"
TURNS, TOKENS = 16, 6
PREFILLS = 1
Found = dict[str, float | int | str]

# part, figure, the least that is allowed
BARS: tuple[tuple[str, str, float], ...] = (
    ("four", "w4 / bf16: tokens/s", 2.0),
    ("four", "w4 / llama Q4_0: tokens/s", 1.0),
    ("four", "w3 / w4: tokens/s", 1.0),
    ("eight", "w8 / bf16: tokens/s", 1.4),
    ("eight", f"W8A8 / bf16: {PREFILL}", 1.3),
    (KERNEL, "one row, 4 bits: share of bandwidth", 0.6),
)


def main() -> int:
    """Measure the groups and compare with the bar; figures of groups that were left out are not judged."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=[*GROUPS, KERNEL], help="One part.")
    parser.add_argument("--decode-only", action="store_true", help="No prompts with an image.")
    given = parser.parse_args()
    only, prefills = given.only, 0 if given.decode_only else PREFILLS
    torch.set_num_threads(THREADS)
    parts = [only] if only else [*GROUPS, KERNEL]
    figures: Found = {"threads": THREADS, "prompt, tokens": PROMPT_TOKENS}
    for part in parts:
        figures |= one_row_share() if part == KERNEL else measure(part, GROUPS[part], prefills)
    bars = [
        (name, least) for part, name, least in BARS if part in parts and (prefills or PREFILL not in name)
    ]
    text = ", ".join(f"{name} >= {least:g}" for name, least in bars)
    holds = all(float(figures.get(name, 0.0)) >= least for name, least in bars)
    return Figures("cpu_decode", figures, text, holds).close()


def measure(part: str, names: Sequence[str], prefill_count: int) -> Found:
    """Figures of one group, and each of its ratios."""
    figures: Found = {}
    with ExitStack() as stack:
        rivals: dict[str, Rival] = {}
        for name in names:
            started = time.monotonic()
            try:
                rival = stack.enter_context(running(name))
                rival.prompt()
            except RivalError as exc:
                figures[f"{part}: {name}"] = f"does not run here: {exc}"
                continue
            rivals[name] = rival
            print(f"{name}: loaded after {time.monotonic() - started:.0f} s", flush=True)
        prefills, steps, bandwidth = take_turns(list(rivals.values()), prefill_count)
    for name, rival in rivals.items():
        label = f"{part}: {name}"
        figures[f"{label}: tokens/s"] = 1 / steps[name]
        if name in prefills:
            figures[f"{label}: prefill, s"] = prefills[name]
        figures[f"{label}: resident set, MiB"] = rival.resident_bytes >> 20
        if not name.startswith("llama"):
            read = token_bytes(name)
            figures[f"{label}: share of bandwidth"] = read / steps[name] / bandwidth
    figures[f"{part}: bandwidth, GB/s"] = bandwidth / 1e9
    return figures | ratios(prefills, steps)


def take_turns(
    rivals: Sequence[Rival], prefill_count: int
) -> tuple[dict[str, float], dict[str, float], float]:
    """Best seconds of an image with text and of a token of each, and the best bandwidth, bytes/s."""
    steps = {rival.name: float("inf") for rival in rivals}
    bandwidth = Bandwidth()
    for _ in range(TURNS):
        bandwidth.look()
        for rival in rivals:
            steps[rival.name] = min(steps[rival.name], *rival.decode(TOKENS))
    prefills: dict[str, float] = {}
    for _ in range(prefill_count):
        for rival in rivals:
            prefills[rival.name] = min(prefills.get(rival.name, float("inf")), rival.prefill())
    return prefills, steps, bandwidth.best


def ratios(prefills: Mapping[str, float], steps: Mapping[str, float]) -> Found:
    """How much faster ours are than the others of their group."""
    found: Found = {}
    for mine, other in (("w3", "w4"), *((name, rival) for name in steps for rival in RIVALS)):
        if mine in steps and other in steps and mine.startswith("w"):
            found[f"{mine} / {other}: tokens/s"] = steps[other] / steps[mine]
    found |= {
        f"{name} / bf16: {PREFILL}": prefills["bf16"] / seconds
        for name, seconds in prefills.items()
        if name.startswith("w")
    }
    if eights := [prefills[name] for name in EIGHTS if name in prefills]:
        found[f"W8A8 / bf16: {PREFILL}"] = prefills["bf16"] / min(eights)
    return found


def token_bytes(name: str) -> int:
    """Bytes of the weights that writing one token reads."""
    return sum(
        entry.size
        for tensor, entry in index_tensors(model_of(name)).items()
        if tensor.startswith("language_model.") and "embed_tokens" not in tensor
    )


if __name__ == "__main__":
    sys.exit(main())
