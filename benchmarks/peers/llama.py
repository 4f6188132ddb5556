"""llama.cpp on the language model of `benchmarks.cpu_decode`, by the commands of `benchmarks.decode.engine`.

    python llama.py BASE GGUF TYPE TOKENS

It runs in an environment of its own, with llama-cpp-python and gguf. Where GGUF is not there yet it is
written from the base's weights: every matrix in TYPE (Q4_0 or Q8_0), head and embeddings too, norms in
float32. There is no picture: the prompt is as many text tokens as the others' image and text are.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf  # type: ignore[import-not-found]
import llama_cpp  # type: ignore[import-not-found]
import numpy as np
from gguf.quants import quantize  # type: ignore[import-not-found]

sys.path.insert(0, str(Path(__file__).parents[2]))
from bitloom.tensors import index_tensors, read_array

THREADS = 2
TEXT_TOKENS = 64
CONTEXT = 1024
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def main() -> None:
    """Write the file where it is missing, load it, then obey until the input ends."""
    base, path, kind, tokens = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    if not path.is_file():
        write(base, path, gguf.GGMLQuantizationType[kind])
    if "--write" in sys.argv:
        return
    engine = Engine(path)
    answer({"resident_bytes": resident_bytes()})
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "prompt":
            answer(engine.prefill(TEXT_TOKENS))
        elif command == "prefill":
            answer(engine.prefill(tokens))
        elif command == "decode":
            answer(engine.decode(int(arguments[0])))
        else:
            answer({"resident_bytes": resident_bytes()})
    sys.stdout.flush()
    os._exit(0)


class Engine:
    """A loaded model and its context; both live as long as the process."""

    def __init__(self, path: Path) -> None:
        llama_cpp.llama_backend_init()
        model_options = llama_cpp.llama_model_default_params()
        model_options.use_mmap = False
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), model_options)
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = options.n_batch = options.n_ubatch = CONTEXT
        options.n_threads = options.n_threads_batch = THREADS
        self._context = llama_cpp.llama_init_from_model(self._model, options)
        if not self._context:
            raise SystemExit(f"llama.cpp does not load {path}")

    def prefill(self, count: int) -> dict[str, float]:
        """Read a new prompt of random tokens."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        tokens = np.random.default_rng(0).integers(5, 500, count).tolist()
        return {"seconds": self._step(tokens), "tokens": count}

    def decode(self, count: int) -> dict[str, list[float]]:
        """Seconds of each of some further tokens."""
        return {"seconds": [self._step([7]) for _ in range(count)]}

    def _step(self, tokens: list[int]) -> float:
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        started = time.perf_counter()
        if llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(array, len(tokens))):
            raise SystemExit("llama_decode failed")
        # Reading the logits waits for them.
        best = llama_cpp.llama_get_logits_ith(self._context, -1)
        ctypes.cast(best, ctypes.POINTER(ctypes.c_float))[0]
        return time.perf_counter() - started


def write(base: Path, path: Path, kind: gguf.GGMLQuantizationType) -> None:
    """The language model in GGUF; a file that was cut off is never taken for whole."""
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))["text_config"]
    partial = path.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    writer.add_file_type({"Q4_0": 2, "Q8_0": 7}[kind.name])
    for name, array in tensors(base, config):
        if array.ndim == 1:
            writer.add_tensor(name, array)
        else:
            writer.add_tensor(name, quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.rename(path)


def tensors(base: Path, config: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Names of llama.cpp and float32 weights; it rotates pairs of neighbours, so q and k are reordered."""
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for name, entry in index_tensors(base).items():
        if not name.startswith("language_model."):
            continue
        module = name.removeprefix("language_model.").removesuffix(".weight")
        array = read_array(entry)
        if module in OUTSIDE:
            yield f"{OUTSIDE[module]}.weight", array
            continue
        block, _, linear = module.removeprefix("model.layers.").partition(".")
        short = NAMES[linear]
        if short in heads:
            outputs, inputs = array.shape
            halves = array.reshape(heads[short], 2, outputs // heads[short] // 2, inputs)
            array = halves.swapaxes(1, 2).reshape(outputs, inputs)
        yield f"blk.{block}.{short}.weight", array


def resident_bytes() -> int:
    """The process' resident set, by Linux."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def answer(document: object) -> None:
    """One line for whoever asked."""
    sys.stdout.write("=" + json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
