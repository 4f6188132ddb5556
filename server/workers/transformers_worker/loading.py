"""From a checkpoint directory to a model on the CPU or the GPU.

Stock transformers loads variants too, but only those whose widths its compressed-tensors unpacks, and
it unpacks on every call. On a CPU the quantized layers stay packed here, for the worker's own kernels
(`residency`); what those do not take, and everything on a GPU, is dequantized once, by the same code that
is the tests' reference. 8-bit activations are rounded by the kernels alone: what is dense does without.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
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
from server.workers.memory import make_resident
from server.workers.transformers_worker.residency import Residency

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model with its processor. `context` is the longest sequence in tokens, `decoder` the part that
    takes further tokens once the images are in the cache, None where the model matches and writes nothing."""

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
    def is_matcher(self) -> bool:
        """Whether the model scores images with texts instead of answering."""
        return isinstance(self.model, transformers.Blip2ForImageTextRetrieval)

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
    model_class: Any = getattr(transformers, (config.architectures or ["none"])[0], None)
    if model_class is None:
        raise CheckpointError(f"{directory}: transformers has no {config.architectures}; serve it by vLLM")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    residency = None
    source: dict[str, Any] = {"pretrained_model_name_or_path": directory}
    if (directory / MANIFEST_NAME).is_file():
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        packed: Set[str] = frozenset()
        if device == "cpu":
            residency = Residency(directory, config)
            model_class = residency.class_with_places(model_class)
            packed = residency.find_places(model_class, config)
        state = dict(_state(directory, dtype, packed))
        source = {"pretrained_model_name_or_path": None, "state_dict": state}
    model, report = model_class.from_pretrained(
        **source, config=config, dtype=dtype, output_loading_info=True
    )
    if report["missing_keys"]:
        first = min(report["missing_keys"])
        raise CheckpointError(f"{directory}: holds no {first}; copy or make the checkpoint again")
    if residency is not None:
        residency.fill(model)
    model.eval().requires_grad_(False).to(device)
    make_resident(model)
    return _with_processor(directory, model, options)


def _state(directory: Path, dtype: torch.dtype, without: Set[str]) -> Iterator[tuple[str, Tensor]]:
    for name, array in dequantized_state(directory, without):
        tensor = torch.from_numpy(array)
        yield name, tensor.to(dtype) if tensor.is_floating_point() else tensor


def _with_processor(directory: Path, model: Any, options: WorkerOptions) -> LoadedModel:
    processor = transformers.AutoProcessor.from_pretrained(directory)
    if isinstance(model, transformers.Blip2ForImageTextRetrieval):
        longest = model.config.qformer_config.max_position_embeddings
        context = min(longest, options.max_model_len or longest)
        return LoadedModel(model, None, processor, frozenset(), context)
    eos = model.generation_config.eos_token_id
    eos_ids = frozenset([eos] if isinstance(eos, int) else eos or ())
    # BLIP-2 is the one family whose own forward pass always wants an image.
    decoder = model.language_model if model.config.model_type == "blip-2" else model
    context = model.config.get_text_config().max_position_embeddings
    return LoadedModel(model, decoder, processor, eos_ids, min(context, options.max_model_len or context))
