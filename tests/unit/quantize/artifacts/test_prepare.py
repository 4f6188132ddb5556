"""Plans with GPTQ and AWQ: computed once, assembled from the store, each block as good as promised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from quantize.artifacts.prepare import prepare_independent, prepare_sequential
from quantize.artifacts.source import StoreSource
from quantize.errors import QuantizationError, StoreError
from quantize.options import GptqOptions
from quantize.resolve import ResolvedLayer
from quantize.source import DirectSource
from quantize.store import ObjectStore

Layers = tuple[ResolvedLayer, ...]


def rule(method: str, bits: int, **more: Any) -> dict[str, Any]:
    return {"component": "all", "method": method, "bits": bits, "group_size": 32, **more}


def errors(source: StoreSource, layers: Layers) -> dict[str, float]:
    found = {}
    for layer in layers:
        if layer.scheme is not None:
            error = source.quantized(layer).relative_output_error
            assert error is not None
            found[layer.name] = error
    return found


def test_methods_lose_less_than_rounding_to_nearest(workshop: Any, tmp_path: Path) -> None:
    plans = [workshop.layers(rule(method, 3)) for method in ("rtn", "gptq", "awq")]
    sources = prepare_independent(workshop.calibrated(), plans, ObjectStore(tmp_path))
    rtn, gptq, awq = (errors(source, layers) for source, layers in zip(sources, plans, strict=True))
    assert rtn.keys() == gptq.keys() == awq.keys()
    assert sum(gptq.values()) < 0.9 * sum(rtn.values())
    assert sum(awq.values()) < 0.98 * sum(rtn.values())


def test_rtn_out_of_the_store_is_rtn(workshop: Any, tmp_path: Path) -> None:
    layers = workshop.layers(rule("rtn", 5, symmetric=False))
    (source,) = prepare_independent(workshop.calibrated(), [layers], ObjectStore(tmp_path))
    direct = DirectSource(workshop.checkpoint)
    for layer in layers:
        stored, fresh = source.quantized(layer), direct.quantized(layer)
        assert torch.equal(stored.weight.integers, fresh.weight.integers)
        assert torch.equal(stored.weight.scales, fresh.weight.scales)
        assert stored.relative_error == pytest.approx(fresh.relative_error, rel=1e-4)


@pytest.mark.parametrize("is_sequential", [True, False])
def test_a_warm_store_needs_no_model(llava: Any, tmp_path: Path, is_sequential: bool) -> None:
    layers = llava.layers(rule("awq", 4), {"component": "language", "method": "gptq", "bits": 3})
    store = ObjectStore(tmp_path)

    def prepared() -> tuple[StoreSource, int]:
        calibrated = llava.calibrated()
        if is_sequential:
            return prepare_sequential(calibrated, layers, store), calibrated.walks
        return prepare_independent(calibrated, [layers], store)[0], calibrated.walks

    (cold, cold_walks), (warm, warm_walks) = prepared(), prepared()
    assert (cold_walks, warm_walks) == (1, 0)
    for layer in layers:
        assert torch.equal(cold.quantized(layer).weight.integers, warm.quantized(layer).weight.integers)


def test_other_samples_and_other_plans_share_what_they_can(llava: Any, tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    four, three = llava.layers(rule("gptq", 4)), llava.layers(rule("gptq", 3))
    first = llava.calibrated()
    prepare_independent(first, [four], store)
    before = len(list(store.entries()))
    second = llava.calibrated()
    prepare_independent(second, [three], store)
    assert second.walks == 0  # the statistics are there
    added = len(list(store.entries())) - before
    assert added == sum(layer.scheme is not None for layer in three)
    other = llava.calibrated(seed=1)
    prepare_independent(other, [three], store)
    assert other.walks == 1


def test_sequential_units_see_their_quantized_predecessors(llava: Any, tmp_path: Path) -> None:
    layers = llava.layers(rule("gptq", 2))
    sequential = prepare_sequential(llava.calibrated(), layers, ObjectStore(tmp_path / "s"))
    (independent,) = prepare_independent(llava.calibrated(), [layers], ObjectStore(tmp_path / "i"))
    same = {
        layer.name: torch.equal(
            sequential.quantized(layer).weight.integers, independent.quantized(layer).weight.integers
        )
        for layer in layers
    }
    assert all(equal for name, equal in same.items() if "vision_model.encoder.layers.0." in name)
    assert not any(equal for name, equal in same.items() if "language_model.model.layers.2." in name)


def test_a_killed_run_goes_on_where_it_stopped(llava: Any, tmp_path: Path) -> None:
    layers = llava.layers(rule("awq", 3))
    whole = prepare_sequential(llava.calibrated(), layers, ObjectStore(tmp_path / "whole"))
    store = ObjectStore(tmp_path / "killed")
    done: list[str] = []

    def kill(name: str, count: int, total: int) -> None:
        done.append(name)
        if count == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_sequential(llava.calibrated(), layers, store, kill)
    kept = {entry.key: entry.path.stat().st_mtime_ns for entry in store.entries()}
    assert kept
    resumed = prepare_sequential(llava.calibrated(), layers, store)
    for layer in layers:
        assert torch.equal(resumed.quantized(layer).weight.integers, whole.quantized(layer).weight.integers)


def test_awq_changes_norms_and_says_what_it_could_not_smooth(workshop: Any, tmp_path: Path) -> None:
    layers = workshop.layers(rule("awq", 3))
    (source,) = prepare_independent(workshop.calibrated(), [layers], ObjectStore(tmp_path))
    direct = DirectSource(workshop.checkpoint)
    norms = [name for name in workshop.checkpoint.tensors if "layers.0." in name and "norm" in name]
    assert norms
    changed = [name for name in norms if not torch.equal(source.dense(name), direct.dense(name))]
    assert changed
    (note,) = source.notes()
    assert "fc2" in note
    assert source.dense(norms[0]).dtype == direct.dense(norms[0]).dtype


def test_too_few_samples_are_refused_with_the_layer(llava: Any, tmp_path: Path) -> None:
    layers = llava.layers(rule("gptq", 4, group_size=128))
    with pytest.raises(
        QuantizationError, match=r"layers\.0\.\S+: calibration saw 10 inputs, fewer than a group of 128"
    ):
        prepare_sequential(llava.calibrated(count=1), layers, ObjectStore(tmp_path))


def test_a_damaged_artifact_is_named(llava: Any, tmp_path: Path) -> None:
    layers = llava.layers(rule("gptq", 4))
    store = ObjectStore(tmp_path)
    source = prepare_sequential(llava.calibrated(), layers, store)
    for entry in store.entries():
        entry.path.write_bytes(entry.path.read_bytes()[:-2] + b"??")
    with pytest.raises(StoreError, match="bitloom store verify --remove"):
        source.quantized(layers[0])


def test_what_decides_the_integers_decides_the_key(llava: Any, tmp_path: Path) -> None:
    """Clipping and GPTQ's options make other artifacts; the container they are stored in does not."""
    store = ObjectStore(tmp_path)
    calibrated = llava.calibrated()
    plain = llava.layers(rule("gptq", 3))
    count = sum(layer.scheme is not None for layer in plain)

    def added(layers: Layers, options: GptqOptions | None = None) -> int:
        before = sum(1 for _ in store.entries())
        prepare_independent(calibrated, [layers], store, options=options)
        return sum(1 for _ in store.entries()) - before

    assert added(plain) > count  # the statistics, too
    assert added(llava.layers(rule("gptq", 3, container_bits=4))) == 0
    assert added(llava.layers(rule("gptq", 3, clip=True))) == count
    assert added(plain, GptqOptions(act_order=False)) == count
