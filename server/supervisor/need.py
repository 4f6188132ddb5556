"""The memory a variant needs, from its manifest and its config.json; no weights are read.

    need = weights as the engine keeps them + key-value cache + activations + the engine itself

Weights: the manifest's resident bytes for the engine; of a base checkpoint its files. Cache: `kv_cache`.
Activations: one step of `STEP_TOKENS` tokens through a block, hidden states and both halves of the MLP,
and the logits of every sequence in float32:

    STEP_TOKENS * (4 * hidden + 2 * intermediate) * number_bytes + max_num_seqs * vocabulary * 4
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitloom.errors import CheckpointError
from bitloom.variant import MANIFEST_NAME, Engine, read_manifest
from server.workers.command import WorkerOptions
from server.workers.kv_cache import CacheShape, cache_bytes

# vLLM's own default for the tokens of one step.
STEP_TOKENS = 2048
# An idle engine's process without a model, measured on the CPU (vLLM 0.32, transformers 5.19).
ENGINE_BYTES: dict[Engine, int] = {"vllm": 700 << 20, "transformers": 500 << 20}
# What transformers takes where a config.json leaves a key out, as LLaVA's do: by model type.
DEFAULTS: dict[str, dict[str, int]] = {
    "llama": {"num_hidden_layers": 32, "num_attention_heads": 32, "hidden_size": 4096},
    "mistral": {"num_hidden_layers": 32, "num_attention_heads": 32, "hidden_size": 4096},
    "qwen2": {"num_hidden_layers": 32, "num_attention_heads": 32, "hidden_size": 4096},
    "opt": {"num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768},
}
DEFAULTS["llama"] |= {"intermediate_size": 11008, "vocab_size": 32000, "max_position_embeddings": 2048}
DEFAULTS["mistral"] |= {"intermediate_size": 14336, "vocab_size": 32000, "max_position_embeddings": 131072}
DEFAULTS["mistral"] |= {"num_key_value_heads": 8}
DEFAULTS["qwen2"] |= {"intermediate_size": 22016, "vocab_size": 151936, "max_position_embeddings": 32768}
DEFAULTS["opt"] |= {"ffn_dim": 3072, "vocab_size": 50272, "max_position_embeddings": 2048}
WIDE = frozenset({"float32", "torch.float32"})


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a variant takes, by purpose."""

    name: str
    weight_bytes: int
    cache_bytes: int
    activation_bytes: int
    engine_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weight_bytes + self.cache_bytes + self.activation_bytes + self.engine_bytes

    def arithmetic(self) -> str:
        """The sum, written out in MiB."""
        parts = f"weights {mib(self.weight_bytes)} + KV cache {mib(self.cache_bytes)} + activations "
        parts += f"{mib(self.activation_bytes)} + engine {mib(self.engine_bytes)}"
        return f"{self.name}: {parts} = {mib(self.total_bytes)} MiB"


def mib(count: int) -> str:
    """Bytes in MiB, rounded up."""
    return f"{-(-count // (1 << 20)):,}"


def need_of(name: str, engine: Engine, directory: Path, options: WorkerOptions, cache: int | None) -> Need:
    """What the variant in `directory` needs; `cache` bytes of cache where they are given.

    Raises CheckpointError where config.json does not say how large the language model is.
    """
    text = read_text_config(directory)
    number_bytes = number_bytes_of(text, options)
    activations = STEP_TOKENS * (4 * text["hidden_size"] + 2 * text["intermediate_size"]) * number_bytes
    return Need(
        name=name,
        weight_bytes=_weight_bytes(engine, directory),
        cache_bytes=cache_need(directory, options) if cache is None else cache,
        activation_bytes=activations + options.max_num_seqs * text["vocab_size"] * 4,
        engine_bytes=ENGINE_BYTES[engine],
    )


def cache_need(directory: Path, options: WorkerOptions) -> int:
    """Bytes of key-value cache for `max_num_seqs` full sequences, or what the options say."""
    if options.kv_cache_bytes is not None:
        return options.kv_cache_bytes
    import psutil

    text = read_text_config(directory)
    shape = CacheShape(
        layers=text["num_hidden_layers"],
        heads=text.get("num_key_value_heads") or text["num_attention_heads"],
        head_size=text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"],
        number_bytes=number_bytes_of(text, options),
    )
    length = options.max_model_len or text["max_position_embeddings"]
    return cache_bytes(shape, length, options.max_num_seqs, int(psutil.virtual_memory().total))


def read_text_config(directory: Path) -> dict[str, Any]:
    """The language model's part of config.json, with what transformers would fill in."""
    path = directory / "config.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        own = document.get("text_config") or document
        text = {**DEFAULTS.get(own.get("model_type", ""), {}), **own}
        text.setdefault("dtype", document.get("dtype") or document.get("torch_dtype") or "bfloat16")
        text.setdefault("intermediate_size", text.get("ffn_dim"))
    except (OSError, ValueError, AttributeError) as exc:
        raise CheckpointError(f"{path}: no readable config of a model; give a complete checkpoint") from exc
    keys = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "vocab_size")
    missing = [key for key in (*keys, "max_position_embeddings") if not isinstance(text.get(key), int)]
    if missing:
        raise CheckpointError(
            f"{path}: no {', '.join(missing)}, from which the variant's memory is reckoned; write them "
            "there, or serve without `placement`"
        )
    return text


def number_bytes_of(text: dict[str, Any], options: WorkerOptions) -> int:
    """Bytes of one number of the cache and the activations."""
    return 4 if (options.dtype if options.dtype != "auto" else str(text["dtype"])) in WIDE else 2


def _weight_bytes(engine: Engine, directory: Path) -> int:
    if (directory / MANIFEST_NAME).is_file():
        total = read_manifest(directory).total
        return total.resident_bytes.get(engine, total.stored_bytes)
    return sum(path.stat().st_size for path in directory.glob("*.safetensors"))
