"""Plan to variant directory: what is written, what the manifest says, and nothing left on failure."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bitloom.dequantize import dequantized_state
from bitloom.errors import InputError
from bitloom.plan import Plan
from bitloom.tensors import index_tensors, read_array
from bitloom.variant import VariantManifest, read_manifest, verify_files
from quantize.checkpoint import open_checkpoint
from quantize.errors import QuantizationError
from quantize.methods.rtn import quantize_rtn
from quantize.options import GptqOptions
from quantize.pipeline import open_source, quantize
from quantize.preview import preview
from quantize.reading import read_tensor
from quantize.resolve import ResolvedLayer
from quantize.scheme import Scheme
from quantize.source import DirectSource, QuantizedLayer

MIXED = [
    {"component": "vision", "bits": 8, "group_size": 64},
    {"component": "vision", "blocks": "front", "bits": 7, "group_size": 32},
    {"component": "connector", "bits": 5, "group_size": "channel"},
    {"component": "language", "bits": 4, "group_size": 64},
    {"component": "language", "blocks": "front", "bits": 3, "symmetric": False},
    {"component": "language", "blocks": "end", "bits": 2, "container_bits": 4},
    {"component": "language", "layers": "head", "bits": 6},
]


def make(base: Path, out: Path, rules: list[dict[str, Any]], **options: Any) -> VariantManifest:
    plan = Plan.parse({"name": "p", "base": str(base), "rules": rules}, source="plan")
    return quantize(plan, out, **options)


@pytest.fixture(scope="module")
def mixed(llava_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("variants") / "mixed"
    make(llava_base, out, MIXED)
    return out


def test_dequantizing_a_variant_gives_what_the_method_made(mixed: Path, llava_base: Path) -> None:
    checkpoint = open_checkpoint(str(llava_base))
    schemes = {record.name: record for record in read_manifest(mixed).layers}
    found = dict(dequantized_state(mixed))
    assert set(found) == set(checkpoint.tensors)
    for name, entry in checkpoint.tensors.items():
        weight = read_tensor(entry)
        record = schemes.get(name.removesuffix(".weight"))
        if record is not None and record.method is not None:
            assert record.group_size is not None
            scheme = Scheme(bits=record.bits, group_size=record.group_size, symmetric=record.symmetric)
            weight = quantize_rtn(weight, None, scheme).dequantize()
        np.testing.assert_array_equal(found[name], weight.float().numpy(), err_msg=name)


def test_the_manifest_counts_what_the_file_holds(mixed: Path, llava_base: Path) -> None:
    manifest = read_manifest(mixed)
    verify_files(mixed, manifest)
    entries = index_tensors(mixed)
    assert manifest.total.stored_bytes == sum(entry.size for entry in entries.values())
    assert manifest.total.parameters == sum(
        entry.count for entry in open_checkpoint(str(llava_base)).tensors.values()
    )
    assert manifest.total.bpw == pytest.approx(8 * manifest.total.stored_bytes / manifest.total.parameters)
    assert sum(part.stored_bytes for part in manifest.components.values()) == manifest.total.stored_bytes
    fc1 = next(record for record in manifest.layers if record.name.endswith("encoder.layers.0.mlp.fc1"))
    # 256 x 128 weights of 7 bits, a bfloat16 scale for each 32 of them, and the recorded shape
    assert fc1.stored_bytes == 256 * 128 * 7 // 8 + 256 * (128 // 32) * 2 + 16
    assert fc1.relative_error is not None
    assert 0 < fc1.relative_error < 0.02
    resident = manifest.total.resident_bytes
    assert resident["vllm"] <= resident["transformers"] < 2 * manifest.total.parameters


def test_the_paper_counts_nominal_bits(llava_base: Path, tmp_path: Path) -> None:
    manifest = make(llava_base, tmp_path / "v", [{"component": "connector", "bits": 4, "group_size": 32}])
    connector = manifest.components["connector"]
    weights, biases = 2 * 128 * 128, 2 * 128
    assert connector.bpw_paper == pytest.approx((4 * weights + 16 * biases) / (weights + biases))
    assert connector.bpw > connector.bpw_paper
    assert manifest.components["vision"].bpw == 16


def test_companions_are_copied_and_the_card_is_not(mixed: Path) -> None:
    assert (mixed / "tokenizer.json").is_file()
    assert (mixed / "chat_template.jinja").read_text() == "{{ messages }}"
    assert not (mixed / "README.md").exists()
    listed = {entry.path for entry in read_manifest(mixed).files}
    assert listed == {path.name for path in mixed.iterdir()} - {"variant.json"}


def test_layers_the_engine_holds_dense_are_rounded_and_stored_dense(blip2_base: Path, tmp_path: Path) -> None:
    manifest = make(blip2_base, tmp_path / "v", [{"component": "connector", "bits": 3, "group_size": 32}])
    connector = [record for record in manifest.layers if record.component == "connector"]
    assert all(record.stored_dense and record.bits == 3 for record in connector)
    assert all(record.stored_bytes == 2 * record.shape[0] * record.shape[1] for record in connector)
    assert manifest.components["connector"].bpw == 16
    assert manifest.components["connector"].quantized_parameters == 0
    assert any("stored dense" in note for note in manifest.notes)
    assert "quantization_config" not in json.loads((tmp_path / "v/config.json").read_text())
    values = read_array(index_tensors(tmp_path / "v")["language_projection.weight"])
    assert len(np.unique(values[0, :32])) <= 8


def test_for_transformers_alone_they_are_packed(blip2_base: Path, tmp_path: Path) -> None:
    rules = [{"component": "connector", "bits": 3, "group_size": 32}]
    document = {"name": "p", "base": str(blip2_base), "rules": rules, "engine": "transformers"}
    manifest = quantize(Plan.parse(document, source="plan"), tmp_path / "v")
    connector = [record for record in manifest.layers if record.component == "connector"]
    assert all(record.stored_dense is None and record.bits == 3 for record in connector)
    assert manifest.engines == ("transformers",)
    assert set(manifest.total.resident_bytes) == {"transformers"}
    assert manifest.components["connector"].bpw < 6
    assert "language_projection.weight_packed" in index_tensors(tmp_path / "v")


def test_w8a8_keeps_int8_weights_and_declares_its_activations(llava_base: Path, tmp_path: Path) -> None:
    rule = {"component": "vision", "bits": 8, "group_size": "channel", "activations": 8}
    make(llava_base, tmp_path / "v", [rule])
    name = "vision_tower.vision_model.encoder.layers.0.mlp.fc1"
    assert index_tensors(tmp_path / "v")[f"{name}.weight"].dtype == "I8"
    config = json.loads((tmp_path / "v/config.json").read_text())["quantization_config"]
    assert config["format"] == "int-quantized"
    assert config["config_groups"]["group_0"]["input_activations"]["strategy"] == "token"
    original = read_tensor(open_checkpoint(str(llava_base)).tensors[f"{name}.weight"]).float()
    found = torch.from_numpy(dict(dequantized_state(tmp_path / "v"))[f"{name}.weight"])
    assert 0 < float((found - original).norm() / original.norm()) < 0.02


def test_shards_hold_the_same_tensors_as_one_file(mixed: Path, llava_base: Path, tmp_path: Path) -> None:
    make(llava_base, tmp_path / "v", MIXED, max_shard_bytes=200_000)
    assert len(list((tmp_path / "v").glob("model-0*.safetensors"))) > 2
    whole, sharded = index_tensors(mixed), index_tensors(tmp_path / "v")
    assert set(whole) == set(sharded)
    for name, entry in whole.items():
        np.testing.assert_array_equal(read_array(entry), read_array(sharded[name]))


def test_equal_plans_make_equal_weights(mixed: Path, llava_base: Path, tmp_path: Path) -> None:
    again = make(llava_base, tmp_path / "v", MIXED)
    first = {entry.path: entry.sha256 for entry in read_manifest(mixed).files}
    assert {entry.path: entry.sha256 for entry in again.files} == first
    assert again.plan_hash == read_manifest(mixed).plan_hash


def test_a_preview_reads_no_weights_and_predicts_the_size(mixed: Path, llava_base: Path) -> None:
    plan = Plan.parse({"name": "p", "base": str(llava_base), "rules": MIXED}, source="plan")
    planned = preview(plan)
    assert planned.total == read_manifest(mixed).total
    assert planned.notes == read_manifest(mixed).notes
    assert "3, 5, 6, 7-bit layers are packed densely" in planned.notes[0]


class FailingSource(DirectSource):
    """Fails on the fifth layer, as a full disk or a NaN would."""

    calls = 0

    def quantized(self, layer: ResolvedLayer) -> QuantizedLayer:
        self.calls += 1
        if self.calls == 5:
            raise QuantizationError(f"{layer.name}: the weight holds NaN")
        return super().quantized(layer)


def test_nothing_is_left_when_a_layer_fails(llava_base: Path, tmp_path: Path) -> None:
    source = FailingSource(open_checkpoint(str(llava_base)))
    with pytest.raises(QuantizationError, match="holds NaN"):
        make(llava_base, tmp_path / "v", MIXED, source=source)
    assert list(tmp_path.iterdir()) == []


def test_a_scale_that_overflows_its_dtype_is_named(llava_base: Path, tmp_path: Path) -> None:
    class Overflowing(DirectSource):
        def quantized(self, layer: ResolvedLayer) -> QuantizedLayer:
            found = super().quantized(layer)
            scales = torch.full_like(found.weight.scales, float("inf"))
            return dataclasses.replace(found, weight=dataclasses.replace(found.weight, scales=scales))

    with pytest.raises(QuantizationError, match="a scale is not finite in bfloat16"):
        make(llava_base, tmp_path / "v", MIXED, source=Overflowing(open_checkpoint(str(llava_base))))


def test_a_file_system_without_room_is_named_first(
    llava_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quantize.pipeline.shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(InputError, match="has 10 free; make room"):
        make(llava_base, tmp_path / "v", MIXED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["sequential", "independent"])
def test_the_plan_says_how_gptq_walks(
    llava_base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str
) -> None:
    seen: list[GptqOptions | None] = []

    def prepare(calibrated: Any, layers: Any, store: Any, on_unit: Any, options: GptqOptions | None) -> Any:
        seen.append(options)
        return [None]

    monkeypatch.setattr(f"quantize.artifacts.prepare.prepare_{mode}", prepare)
    document = {
        "name": "p",
        "base": str(llava_base),
        "rules": [{"bits": 4, "method": "gptq", "group_size": 64}],
        "calibration": {"mode": mode},
    }
    for section in ({}, {"gptq": {"act_order": False, "static_groups": False, "damping": 0.1}}):
        plan = Plan.parse({**document, **section}, source="plan")
        open_source(plan, preview(plan), tmp_path)
    assert seen == [None, GptqOptions(act_order=False, static_groups=False, damping=0.1)]
