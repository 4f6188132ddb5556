"""A matching model with random weights: BLIP-2's parts, tower and Q-Former as small as those of the zoo."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from pathlib import Path

import torch
from transformers import AutoProcessor, Blip2Config, Blip2ForImageTextRetrieval

ZOO = Path(__file__).resolve().parents[2] / "zoo" / "tiny-blip2"
BEYOND = "<beyond>"
"""A token that the tokenizer has and the model has not, as `<image>` is in checkpoints with BERT's words."""


def write_matcher(directory: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Save the model with the zoo's processor; the same weights every time."""
    config = Blip2Config.from_pretrained(ZOO)
    config.qformer_config.use_qformer_text_input = True
    torch.manual_seed(0)
    model = Blip2ForImageTextRetrieval(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2:  # lively, so that scores depend on the text and the image
                parameter.normal_(0, 1.0 if "embed" in name else 1.5 / parameter[0].numel() ** 0.5)
    model.to(dtype).save_pretrained(directory)
    processor = AutoProcessor.from_pretrained(ZOO)
    spare = range(len(processor.tokenizer), config.qformer_config.vocab_size)
    processor.tokenizer.add_tokens([*(f"<spare{number}>" for number in spare), BEYOND])
    processor.save_pretrained(directory)
    return directory
