"""Writes a trained student as a model directory that stock transformers and stock vLLM load."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import Blip2Processor, GenerationConfig, LlavaProcessor
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from bitloom.errors import BitloomError
from bitloom.files import fsync_file
from zoo.scenes import IMAGE_SIDE
from zoo.train.llava import PATCH
from zoo.train.prompts import BLIP2_CHAT_TEMPLATE, LLAVA_CHAT_TEMPLATE
from zoo.train.settings import Family
from zoo.train.student import IMAGE_MEAN, IMAGE_STD, Student
from zoo.train.tokenizer import END_ID, IMAGE, PAD_ID, build_tokenizer, pretrained_tokenizer

WEIGHTS = "model.safetensors"

_SQUARE = {"height": IMAGE_SIDE, "width": IMAGE_SIDE}
_LLAVA_CONTEXT, _BLIP2_CONTEXT = 2048, 512


def export(family: Family, student: Student, out: Path) -> None:
    """Write weights (bfloat16), configuration, tokenizer, processor and chat template into `out`.

    Other files there, like the model card, stay. Every file is whole or absent, the weights come last.
    Raises BitloomError where a file cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
            made = Path(name)
            _save_model(student, made)
            _processor(family, student).save_pretrained(made)
            for path in sorted(made.iterdir(), key=lambda each: (each.name == WEIGHTS, each.name)):
                path.chmod(0o644)
                fsync_file(path)
                shutil.move(path, out / path.name)
        fsync_file(out)
    except OSError as exc:
        raise BitloomError(f"{out}: the model could not be written ({exc.strerror})") from exc


def _save_model(student: Student, out: Path) -> None:
    model = student.model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(eos_token_id=END_ID, pad_token_id=PAD_ID, do_sample=False)
    model.save_pretrained(out)
    weights = {_engine_name(name): tensor.contiguous() for name, tensor in load_file(out / WEIGHTS).items()}
    save_file(weights, out / WEIGHTS, metadata={"format": "pt"})


def _engine_name(name: str) -> str:
    """The name both engines know: transformers 5 leaves out a level that vLLM asks for."""
    tower = "vision_tower."
    if name.startswith(tower) and not name.startswith(f"{tower}vision_model."):
        return f"{tower}vision_model.{name.removeprefix(tower)}"
    return name


def _processor(family: Family, student: Student) -> Any:
    """Image processor, tokenizer and chat template in one."""
    if family == "llava":
        images = CLIPImageProcessorPil(
            size={"shortest_edge": IMAGE_SIDE}, crop_size=_SQUARE, image_mean=IMAGE_MEAN, image_std=IMAGE_STD
        )
        tokenizer = pretrained_tokenizer(
            build_tokenizer(),
            chat_template=LLAVA_CHAT_TEMPLATE,
            model_max_length=_LLAVA_CONTEXT,
            extra_special_tokens={"image_token": IMAGE},
        )
        return LlavaProcessor(
            image_processor=images,
            tokenizer=tokenizer,
            patch_size=PATCH,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=LLAVA_CHAT_TEMPLATE,
        )
    # no image_token attribute: Blip2Processor 5.19 takes one for an AddedToken and fails on its name
    images = BlipImageProcessorPil(size=_SQUARE, image_mean=IMAGE_MEAN, image_std=IMAGE_STD)
    tokenizer = pretrained_tokenizer(
        build_tokenizer(), chat_template=BLIP2_CHAT_TEMPLATE, model_max_length=_BLIP2_CONTEXT
    )
    return Blip2Processor(image_processor=images, tokenizer=tokenizer, num_query_tokens=student.image_tokens)
