"""What is exported loads with stock transformers and gives the model the tokens it was trained on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from zoo.scenes import scene
from zoo.train.export import WEIGHTS, export
from zoo.train.loop import new_student
from zoo.train.packing import Exchange, Packer
from zoo.train.prompts import CAPTION
from zoo.train.settings import RECIPES, Family
from zoo.train.student import Student, normalized
from zoo.train.tokenizer import VOCABULARY_SIZE, build_tokenizer

USER_TEXT = {"llava": "describe the image.", "blip2": "a photo of"}
MEGABYTE = 2**20


@pytest.fixture(scope="module", params=sorted(RECIPES))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Family, Student, Path]:
    torch.manual_seed(0)
    family: Family = request.param
    out = tmp_path_factory.mktemp(family) / "model"
    student = new_student(family)
    export(family, student, out)
    return family, student, out


def prompt_inputs(family: Family, out: Path) -> tuple[Any, Any]:
    """Processed image and caption prompt, through processor and chat template."""
    processor = AutoProcessor.from_pretrained(out)
    content = [{"type": "image"}, {"type": "text", "text": USER_TEXT[family]}]
    text = processor.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    return processor, processor(images=scene("validation", 0).render(), text=text, return_tensors="pt")


def test_processor_gives_the_tokens_of_training(exported: tuple[Family, Student, Path]) -> None:
    family, student, out = exported
    _, inputs = prompt_inputs(family, out)
    packer = Packer(build_tokenizer(), student.prompts, student.image_tokens)
    trained_on = packer.pack([[Exchange(student.prompts.prompt(CAPTION), "x")]]).tokens[0].tolist()
    tokens = inputs["input_ids"][0].tolist()
    assert tokens == trained_on[: len(tokens)]


def test_processor_gives_the_pixels_of_training(exported: tuple[Family, Student, Path]) -> None:
    family, _, out = exported
    _, inputs = prompt_inputs(family, out)
    image = scene("validation", 0).render()
    pixels = torch.tensor(list(image.tobytes())).reshape(1, 64, 64, 3).permute(0, 3, 1, 2)
    assert torch.allclose(inputs["pixel_values"], normalized(pixels), atol=1e-5)


def test_stock_model_has_the_student_s_weights(exported: tuple[Family, Student, Path]) -> None:
    _, student, out = exported
    model = AutoModelForImageTextToText.from_pretrained(out, dtype=torch.bfloat16)
    saved, mine = model.state_dict(), student.model.state_dict()
    assert saved.keys() == mine.keys()
    assert all(torch.equal(saved[name], tensor.bfloat16()) for name, tensor in mine.items())


def test_file_is_small_bfloat16_with_the_engines_names(exported: tuple[Family, Student, Path]) -> None:
    _, _, out = exported
    weights = load_file(out / WEIGHTS)
    assert (out / WEIGHTS).stat().st_size <= 12 * MEGABYTE
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    tower = [name for name in weights if name.startswith("vision_tower.")]
    assert all(name.startswith("vision_tower.vision_model.") for name in tower)


def test_every_linear_fits_the_kernels(exported: tuple[Family, Student, Path]) -> None:
    _, student, _ = exported
    linears = [each for each in student.model.modules() if isinstance(each, torch.nn.Linear)]
    assert len(linears) > 30
    assert all(each.in_features % 128 == 0 and each.out_features % 128 == 0 for each in linears)


def test_export_leaves_other_files_alone(exported: tuple[Family, Student, Path]) -> None:
    family, student, out = exported
    (out / "README.md").write_text("card")
    export(family, student, out)
    assert (out / "README.md").read_text() == "card"
    assert not [each for each in out.parent.iterdir() if each.name.startswith(".")]


def test_tokenizer_fits_the_embedding_and_adds_nothing(exported: tuple[Family, Student, Path]) -> None:
    _, _, out = exported
    tokenizer = AutoProcessor.from_pretrained(out).tokenizer
    assert len(tokenizer) <= VOCABULARY_SIZE
    assert tokenizer.decode(tokenizer("a small red ring.")["input_ids"]) == "a small red ring."
