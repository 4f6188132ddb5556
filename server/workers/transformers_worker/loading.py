"""From a checkpoint directory to a model on the CPU or the GPU: bases as they are, variants dequantized.

Stock transformers loads variants too, but only those whose widths its compressed-tensors unpacks, and
it unpacks on every call. Here the weights are dequantized once, by the same code that is the tests'
reference; 8-bit activations are not imitated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from bitloom.dequantize import dequantized_state
from bitloom.errors import CheckpointError
from bitloom.variant import MANIFEST_NAME
from server.workers.command import WorkerOptions

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model with its processor. `context` is the longest sequence in tokens, `decoder` the part that
    takes further tokens once the images are in the cache."""

    model: Any
    decoder: Any
    processor: Any
    eos_ids: frozenset[int]
    context: int

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.model.device
        return device


def load_model(directory: Path, options: WorkerOptions) -> LoadedModel:
    """Load a base or a variant; CheckpointError where weights are missing or the family is unknown."""
    torch.set_num_threads(options.threads)
    config = transformers.AutoConfig.from_pretrained(directory)
    stored = str(config.dtype or "float32").removeprefix("torch.")
    dtype = DTYPES[stored if options.dtype == "auto" else options.dtype]
    model_class = getattr(transformers, (config.architectures or ["none"])[0], None)
    if model_class is None:
        raise CheckpointError(f"{directory}: transformers has no {config.architectures}; serve it by vLLM")
    source: dict[str, Any] = {"pretrained_model_name_or_path": directory}
    if (directory / MANIFEST_NAME).is_file():
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        source = {"pretrained_model_name_or_path": None, "state_dict": dict(_state(directory, dtype))}
    model, report = model_class.from_pretrained(
        **source, config=config, dtype=dtype, output_loading_info=True
    )
    if report["missing_keys"]:
        first = min(report["missing_keys"])
        raise CheckpointError(f"{directory}: holds no {first}; copy or make the checkpoint again")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.eval().requires_grad_(False).to(device)
    return _with_processor(directory, model, options)


def _state(directory: Path, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    for name, array in dequantized_state(directory):
        tensor = torch.from_numpy(array)
        yield name, tensor.to(dtype) if tensor.is_floating_point() else tensor


def _with_processor(directory: Path, model: Any, options: WorkerOptions) -> LoadedModel:
    processor = transformers.AutoProcessor.from_pretrained(directory)
    eos = model.generation_config.eos_token_id
    eos_ids = frozenset([eos] if isinstance(eos, int) else eos or ())
    # BLIP-2 is the one family whose own forward pass always wants an image.
    decoder = model.language_model if model.config.model_type == "blip-2" else model
    context = model.config.get_text_config().max_position_embeddings
    return LoadedModel(model, decoder, processor, eos_ids, min(context, options.max_model_len or context))
