"""A training that was interrupted ends with the weights of one that was not."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bitloom.errors import CheckpointError
from zoo.train.checkpoint import save_checkpoint
from zoo.train.lessons import load_lessons
from zoo.train.loop import StageRun, new_student, train, validation_accuracy
from zoo.train.packing import Packer
from zoo.train.settings import RECIPES, Recipe
from zoo.train.tokenizer import build_tokenizer


@pytest.fixture
def recipe() -> Recipe:
    whole = RECIPES["blip2"]
    stages = tuple(replace(stage, steps=2, batch=2, warmup=1) for stage in whole.stages)
    return replace(whole, stages=stages, scenes=6, validation_scenes=2, save_every=1, validate_every=2)


def test_resumed_training_ends_with_the_same_weights(recipe: Recipe, tmp_path: Path) -> None:
    whole = train(recipe, tmp_path / "whole.pt").model.state_dict()

    torch.manual_seed(recipe.seed)
    student = new_student(recipe.family)
    packer = Packer(build_tokenizer(), student.prompts, student.image_tokens)
    lessons = load_lessons("train", recipe.scenes)
    for number, steps in ((0, 2), (1, 1)):
        run = StageRun(recipe, number, student, packer, lessons, lessons)
        for step in range(steps):
            run.step(step)
        save_checkpoint(tmp_path / "part.pt", recipe, student, run.progress(steps))
    resumed = train(recipe, tmp_path / "part.pt").model.state_dict()

    assert resumed.keys() == whole.keys()
    for name, tensor in whole.items():
        assert torch.allclose(resumed[name], tensor, atol=1e-6), name


def test_checkpoint_of_another_recipe_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    student = new_student("blip2")
    packer = Packer(build_tokenizer(), student.prompts, student.image_tokens)
    lessons = load_lessons("train", recipe.scenes)
    run = StageRun(recipe, 0, student, packer, lessons, lessons)
    save_checkpoint(tmp_path / "old.pt", recipe, student, run.progress(1))
    with pytest.raises(CheckpointError, match="another recipe; remove it"):
        train(replace(recipe, seed=1), tmp_path / "old.pt")


def test_torn_checkpoint_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "torn.pt").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(CheckpointError, match="not a training checkpoint"):
        train(recipe, tmp_path / "torn.pt")


def test_an_untrained_model_knows_nothing() -> None:
    torch.manual_seed(0)
    student = new_student("blip2")
    packer = Packer(build_tokenizer(), student.prompts, student.image_tokens)
    accuracy = validation_accuracy(student, packer, load_lessons("validation", 4))
    assert accuracy["all"] == 0
    assert len(accuracy) >= 8
