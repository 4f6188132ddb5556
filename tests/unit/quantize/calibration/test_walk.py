"""Statistics of a walk are those of the ordinary model, unit by unit."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from quantize.artifacts.unitplan import unit_head_size, unit_pairs
from quantize.calibration.batches import Batch
from quantize.calibration.skeleton import Skeleton
from quantize.calibration.statistics import UnitStatistics
from quantize.calibration.units import Unit
from quantize.calibration.walk import WalkOptions, walk
from quantize.checkpoint import Checkpoint, open_checkpoint
from quantize.errors import QuantizationError

Batches = Callable[..., tuple[Batch, ...]]


class Collector:
    """Keeps what it is shown; answers with `others` for the units named there."""

    def __init__(self, others: Mapping[str, Mapping[str, Tensor]] | None = None, until: str = "") -> None:
        self.found: dict[str, UnitStatistics] = {}
        self._others = others or {}
        self._until = until

    def wants(self, unit: Unit) -> bool:
        return not self._until or unit.name == self._until

    def visit(self, unit: Unit, statistics: UnitStatistics) -> None:
        self.found[unit.name] = statistics

    def replaced(self, unit: Unit) -> Mapping[str, Tensor] | None:
        return self._others.get(unit.name)


def options(checkpoint: Checkpoint, *, is_sequential: bool) -> WalkOptions:
    return WalkOptions(
        is_sequential,
        lambda unit: unit_pairs(checkpoint, unit),
        lambda unit: unit_head_size(checkpoint, unit),
    )


def collect(base: Path, batches: tuple[Batch, ...], *, is_sequential: bool = False, **how: Any) -> Collector:
    checkpoint = open_checkpoint(str(base))
    collector = Collector(**how)
    walk(Skeleton(checkpoint), batches, collector, options(checkpoint, is_sequential=is_sequential))
    return collector


def inputs_of_linears(
    base: Path, batches: tuple[Batch, ...], others: Mapping[str, Tensor] | None = None
) -> dict[str, list[Tensor]]:
    """Inputs of every Linear of the ordinary model, by written name, one tensor a batch."""
    family = open_checkpoint(str(base)).family
    architecture = getattr(transformers, family.architectures[0])
    model: nn.Module = architecture.from_pretrained(base, dtype=torch.float32).eval()
    for name, parameter in model.named_parameters():
        if others and family.written_name(name) in others:
            parameter.data = others[family.written_name(name)]
    seen: dict[str, list[Tensor]] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            written = family.written_name(f"{name}.weight").removesuffix(".weight")
            keep = seen.setdefault(written, [])
            module.register_forward_pre_hook(lambda _, args, keep=keep: keep.append(args[0]))
    with torch.no_grad():
        for batch in batches:
            model(**batch.inputs)
    return seen


def gram(inputs: list[Tensor]) -> Tensor:
    x = torch.cat([each.reshape(-1, each.shape[-1]) for each in inputs])
    return x.T @ x


@pytest.mark.parametrize("family", ["llava", "blip2"])
@pytest.mark.parametrize("is_sequential", [False, True])
def test_hessians_are_those_of_the_ordinary_model(
    request: pytest.FixtureRequest, random_batches: Batches, family: str, is_sequential: bool
) -> None:
    base = request.getfixturevalue(f"{family}_base")
    batches = random_batches(family, count=2, held_out=1)
    collector = collect(base, batches, is_sequential=is_sequential)
    expected = inputs_of_linears(base, batches)
    checked = 0
    for statistics in collector.found.values():
        for layer in statistics.owners:
            fitting = statistics.of(layer).fitting
            learnt = expected[layer][:-1]
            torch.testing.assert_close(fitting.hessian, gram(learnt), rtol=1e-4, atol=1e-3)
            held_out = statistics.of(layer).held_out
            assert held_out is not None
            torch.testing.assert_close(held_out, gram(expected[layer][-1:]), rtol=1e-4, atol=1e-3)
            flat = torch.cat([each.reshape(-1, each.shape[-1]) for each in learnt])
            torch.testing.assert_close(fitting.magnitudes, flat.abs().mean(0), rtol=1e-4, atol=1e-5)
            assert fitting.tokens == flat.shape[0]
            checked += 1
    assert checked == {"llava": 3 * 6 + 2 + 3 * 7 + 1, "blip2": 3 * 4 + (3 * 6 + 2 * 4) + 1 + 3 * 6}[family]


def test_linears_that_share_an_input_share_its_statistics(llava_base: Path, random_batches: Batches) -> None:
    found = collect(llava_base, random_batches("llava", count=1)).found["language_model.model.layers.0"]
    prefix = "language_model.model.layers.0"
    assert found.of(f"{prefix}.self_attn.q_proj") is found.of(f"{prefix}.self_attn.v_proj")
    assert found.of(f"{prefix}.mlp.gate_proj") is found.of(f"{prefix}.mlp.up_proj")
    assert len(found.inputs) == 4


def test_units_behind_see_what_replaces_a_unit(llava_base: Path, random_batches: Batches) -> None:
    batches = random_batches("llava", count=2)
    unit, behind = "language_model.model.layers.0", "language_model.model.layers.1"
    name = f"{unit}.mlp.down_proj.weight"
    others = {name: torch.randn(128, 256, generator=torch.Generator().manual_seed(0))}
    found = collect(llava_base, batches, is_sequential=True, others={unit: others}).found
    changed = inputs_of_linears(llava_base, batches, others)
    layer = f"{behind}.self_attn.q_proj"
    torch.testing.assert_close(
        found[behind].of(layer).fitting.hessian, gram(changed[layer]), rtol=1e-3, atol=1e-3
    )
    before = inputs_of_linears(llava_base, batches)
    assert not torch.allclose(gram(changed[layer]), gram(before[layer]), rtol=0.1)


def test_padding_does_not_count_and_tokens_are_weighed(llava_base: Path, random_batches: Batches) -> None:
    (batch,) = random_batches("llava", count=1)
    weights = batch.token_weights.clone()
    weights[:, :4] = 2.0
    weights[:, -2:] = 0.0
    weighed = Batch(batch.names, batch.inputs, weights, is_held_out=False)
    layer = "language_model.model.layers.2.self_attn.q_proj"
    fitting = collect(llava_base, (weighed,)).found["language_model.model.layers.2"].of(layer).fitting
    (x,) = inputs_of_linears(llava_base, (batch,))[layer]
    flat, by_token = x.reshape(-1, x.shape[-1]), weights.reshape(-1, 1)
    torch.testing.assert_close(fitting.hessian, flat.T @ (by_token * flat), rtol=1e-4, atol=1e-3)
    mean = (by_token * flat.abs()).sum(0) / by_token.sum()
    torch.testing.assert_close(fitting.magnitudes, mean, rtol=1e-4, atol=1e-5)
    assert fitting.tokens == int((weights > 0).sum())


def test_a_walk_goes_no_further_than_wanted(llava_base: Path, random_batches: Batches) -> None:
    checkpoint = open_checkpoint(str(llava_base))
    skeleton = Skeleton(checkpoint)
    collector = Collector(until="multi_modal_projector.linear_1")
    walk(skeleton, random_batches("llava", count=1), collector, options(checkpoint, is_sequential=False))
    assert list(collector.found) == ["multi_modal_projector.linear_1"]


def test_only_one_unit_holds_weights_at_a_time(llava_base: Path, random_batches: Batches) -> None:
    checkpoint = open_checkpoint(str(llava_base))
    skeleton = Skeleton(checkpoint)
    loaded: list[list[str]] = []

    class Spy(Collector):
        def visit(self, unit: Unit, statistics: UnitStatistics) -> None:
            modules = zip(skeleton.units, skeleton.modules, strict=True)
            loaded.append([u.name for u, m in modules if not any(p.is_meta for p in m.parameters())])

    spy = Spy()
    walk(skeleton, random_batches("llava", count=1), spy, options(checkpoint, is_sequential=False))
    assert loaded == [[unit.name] for unit in skeleton.units]


def test_inputs_that_are_not_finite_are_named(llava_base: Path, random_batches: Batches) -> None:
    (batch,) = random_batches("llava", count=1)
    batch.inputs["pixel_values"][0, 0, 0, 0] = float("nan")
    with pytest.raises(
        QuantizationError, match=r"layers\.0\.self_attn\.q_proj: its inputs hold NaN .* sample 0"
    ):
        collect(llava_base, (batch,))
