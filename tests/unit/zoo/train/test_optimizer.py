"""Muon's directions are nearly orthogonal; every parameter is trained once; the schedule ends at zero."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.train.loop import new_student
from zoo.train.optimizer import StageOptimizer, orthogonalized, schedule
from zoo.train.settings import RECIPES, Family, Stage

STAGE = Stage("test", steps=100, batch=1, rate=1e-2, views=1, warmup=10)


@settings(deadline=None, max_examples=20)
@given(st.integers(8, 96), st.integers(8, 96), st.integers(0, 99))
def test_singular_values_become_about_one(rows: int, columns: int, seed: int) -> None:
    matrices = torch.randn(2, rows, columns, generator=torch.Generator().manual_seed(seed))
    values = torch.linalg.svdvals(orthogonalized(matrices))
    assert values.max() < 1.3
    assert values.median() > 0.6


def test_schedule_warms_up_and_ends_at_zero() -> None:
    assert schedule(0, STAGE) == pytest.approx(0.1)
    assert schedule(9, STAGE) > schedule(0, STAGE)
    assert all(schedule(step, STAGE) > schedule(step + 1, STAGE) for step in range(10, 99))
    assert schedule(100, STAGE) == pytest.approx(0)


def test_a_step_goes_downhill() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(64, 64)
    optimizer = StageOptimizer(STAGE, model, [], decay=0.0)
    inputs, targets = torch.randn(32, 64), torch.randn(32, 64)
    losses = []
    for step in range(20):
        loss = (model(inputs) - targets).square().mean()
        torch.autograd.backward(loss)
        optimizer.step(step)
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(parameter.grad is None for parameter in optimizer.parameters)


@pytest.mark.parametrize("family", sorted(RECIPES))
def test_the_joint_stage_trains_every_weight_once(family: Family) -> None:
    student = new_student(family)
    stage = RECIPES[family].stages[-1]
    parts = [*student.query_former, *student.language]
    optimizer = StageOptimizer(stage, student.vision, parts, decay=0.05)
    trained = [id(parameter) for parameter in optimizer.parameters]
    assert len(trained) == len(set(trained))
    assert set(trained) == {id(parameter) for parameter in student.model.parameters()}
