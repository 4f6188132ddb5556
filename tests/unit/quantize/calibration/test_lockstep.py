"""Passes that wait for one another at every unit, on a model whose glue nobody knows."""

import threading
from contextlib import closing
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from quantize.calibration.lockstep import Lockstep


class Glued(nn.Module):
    """Units with arithmetic in between; every second one may be skipped."""

    def __init__(self) -> None:
        super().__init__()
        self.units = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: Tensor, skips: bool = False) -> Tensor:
        for index, unit in enumerate(self.units):
            if not (skips and index == 1):
                x = unit(x.tanh()) + index
        return x


INPUTS = [torch.full((1, 4), float(n)) for n in range(3)]


def answer_all(lockstep: Lockstep, model: Glued) -> list[tuple[int, list[int]]]:
    """Answer every call; which calls were due at which unit, in order."""
    order = []
    with torch.no_grad(), closing(lockstep.units()) as units:
        for index, calls, answer in units:
            order.append((index, [call.batch for call in calls]))
            for call in calls:
                answer(call, nn.Linear.forward(model.units[index], *call.args))  # type: ignore[arg-type]
    return order


def run_all(model: Glued, skipping: set[int]) -> tuple[list[Tensor], list[tuple[int, list[int]]]]:
    """Outputs of the passes, and which calls were due at which unit, in order."""
    outputs: dict[int, Tensor] = {}

    def run(n: int) -> None:
        outputs[n] = model(INPUTS[n], skips=n in skipping)

    lockstep = Lockstep(list(model.units), [partial(run, n) for n in range(3)])
    order = answer_all(lockstep, model)
    return [outputs[n] for n in range(3)], order


def test_every_pass_ends_as_it_does_alone() -> None:
    model = Glued()
    with torch.no_grad():
        expected = [model(x) for x in INPUTS]
    found, order = run_all(model, skipping=set())
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    assert order == [(0, [0, 1, 2]), (1, [0, 1, 2]), (2, [0, 1, 2])]
    assert torch.equal(model(INPUTS[0]), expected[0])  # the units have their own forward again


def test_a_pass_that_skips_a_unit_waits_for_the_others() -> None:
    _, order = run_all(Glued(), skipping={1})
    assert order == [(0, [0, 1, 2]), (1, [0, 2]), (2, [0, 1, 2])]


def test_what_a_pass_raises_ends_the_walk() -> None:
    model = Glued()

    def broken() -> None:
        model(INPUTS[0])
        raise ValueError("bad glue")

    before = threading.active_count()
    lockstep = Lockstep(list(model.units), [lambda: model(INPUTS[1]), broken])
    with pytest.raises(ValueError, match="bad glue"):
        answer_all(lockstep, model)
    assert threading.active_count() <= before + 1


def test_leaving_early_ends_all_passes() -> None:
    model = Glued()
    ended: list[int] = []
    lockstep = Lockstep(list(model.units), [lambda: ended.append(int(model(INPUTS[0]).numel()))] * 2)
    with closing(lockstep.units()) as units:
        next(units)
    assert not ended
    assert torch.isfinite(model(INPUTS[0])).all()
