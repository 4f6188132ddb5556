"""One vLLM in a process of its own, which measures when it is told: `python -m benchmarks.decode.engine DIR`.

Each line of its input is a command, each line of its output that starts with `=` the answer as JSON:

    prompt     reads `TEXT_TOKENS` tokens -> {"seconds", "tokens"}
    prefill    reads an image (fresh noise) and `TEXT_TOKENS` tokens -> the same
    decode N   writes N more tokens after what was read last, one row at a time -> {"seconds": [of each]}
    memory     {"resident_bytes"}

Times are of the engine's steps: images are decoded and resized before. It runs as the worker does: without
compilation, keys and values of a prompt never reused.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np
import psutil
from PIL import Image
from vllm import LLM, SamplingParams

from benchmarks.decode.models import SHAPE
from server.workers.memory import release_freed

TEXT_TOKENS = 64
MAX_TOKENS = 1024
CACHE_BYTES = 128 << 20


class Engine:
    """A loaded model with one request, which is decoded as far as it is asked."""

    def __init__(self, model: str) -> None:
        self._llm = LLM(
            model=model,
            dtype="bfloat16",
            enforce_eager=True,
            kv_cache_memory_bytes=CACHE_BYTES,
            max_model_len=MAX_TOKENS,
            max_num_batched_tokens=MAX_TOKENS,
            max_num_seqs=1,
            limit_mm_per_prompt={"image": 1},
            skip_mm_profiling=True,
            enable_prefix_caching=False,
            mm_processor_cache_gb=0,
            async_scheduling=False,
            disable_log_stats=True,
        )
        self._count = 0
        self._generator = np.random.default_rng(0)
        release_freed()

    def prompt(self) -> dict[str, float]:
        """Read a new prompt of text."""
        return self._read({"prompt_token_ids": self._text()})

    def prefill(self) -> dict[str, float]:
        """Read a new prompt of an image and text."""
        side = SHAPE.image_side
        pixels = self._generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
        image_token: int = self._llm.llm_engine.model_config.hf_config.image_token_index
        images = {"image": Image.fromarray(pixels)}
        return self._read({"prompt_token_ids": [image_token, *self._text()], "multi_modal_data": images})

    def _text(self) -> list[int]:
        tokens: list[int] = self._generator.integers(5, 500, TEXT_TOKENS).tolist()
        return tokens

    def _read(self, prompt: Any) -> dict[str, float]:
        """Give up the prompt before and read a new one; ends with the first token."""
        engine = self._llm.llm_engine
        if self._count:
            engine.abort_request([str(self._count)])
        self._count += 1
        sampling = SamplingParams(temperature=0, max_tokens=MAX_TOKENS, ignore_eos=True)
        engine.add_request(str(self._count), prompt, sampling)
        started = time.perf_counter()
        outputs: list[Any] = []
        while not outputs:
            outputs = engine.step()
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "tokens": len(outputs[0].prompt_token_ids)}

    def decode(self, tokens: int) -> dict[str, list[float]]:
        """Seconds of each of some further tokens."""
        seconds: list[float] = []
        while len(seconds) < tokens:
            started = time.perf_counter()
            if not self._llm.llm_engine.step():
                raise RuntimeError("a step wrote no token")
            seconds.append(time.perf_counter() - started)
        return {"seconds": seconds}


def main() -> None:
    """Load the model, say so, then obey until the input ends."""
    engine = Engine(sys.argv[1])
    answer({"resident_bytes": psutil.Process().memory_info().rss})
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "prompt":
            answer(engine.prompt())
        elif command == "prefill":
            answer(engine.prefill())
        elif command == "decode":
            answer(engine.decode(int(arguments[0])))
        else:
            answer({"resident_bytes": psutil.Process().memory_info().rss})
    sys.stdout.flush()
    os._exit(0)  # the engine's own end takes seconds


def answer(document: object) -> None:
    """One line for whoever asked."""
    sys.stdout.write("=" + json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
