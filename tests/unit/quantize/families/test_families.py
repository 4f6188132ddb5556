"""A family is a table: every stage works on it, whatever transformers version named its tensors."""

from __future__ import annotations

import json
import re
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from bitloom.dequantize import dequantized_state
from bitloom.plan import Calibration, Plan
from quantize.artifacts.prepare import prepare_independent, prepare_sequential
from quantize.calibration.batches import Batch
from quantize.calibration.passes import CalibrationPass
from quantize.calibration.samples import ImageTextSample
from quantize.checkpoint import open_checkpoint
from quantize.families import find_family
from quantize.pipeline import quantize
from quantize.resolve import ResolvedLayer, resolve
from quantize.store import ObjectStore

pytestmark = pytest.mark.filterwarnings("ignore")

# What other versions call the same tensors: patterns on the written names, newest transformers first.
OTHER_NAMES: dict[str, list[list[tuple[str, str]]]] = {
    "llava-next": [
        [
            (r"^vision_tower\.(vision_model\.)?", "model.vision_tower."),
            (r"^multi_modal_projector\.", "model.multi_modal_projector."),
            (r"^image_newline$", "model.image_newline"),
            (r"^language_model\.model\.", "model.language_model."),
            (r"^language_model\.lm_head\.", "lm_head."),
        ],
        [(r"^vision_tower\.(?!vision_model)", "vision_tower.vision_model.")],
    ],
    "blip-2-itm": [[(r"^(vision_model|qformer|query_tokens|embeddings)", r"model.\1")]],
    "qwen2.5-vl": [[(r"^model\.", "model.language_model."), (r"^visual\.", "model.visual.")]],
}
LAYERS = {
    "llava-next": 2 * 6 + 2 + 2 * 7 + 1,
    "blip-2-itm": 2 * 4 + (2 * 8 + 4) + 1,  # cross-attention in the first block only
    "qwen2.5-vl": 2 * 5 + 2 + 2 * 7 + 1,
}


class GivenPass(CalibrationPass):
    """Calibrates on batches that are given."""

    given: tuple[Batch, ...]

    @cached_property
    def samples(self) -> tuple[ImageTextSample, ...]:
        return (ImageTextSample("one", Image.new("RGB", (4, 4)), "q", "a"),)

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        return self.given


def rules(method: str, bits: int) -> list[dict[str, Any]]:
    return [{"component": "all", "method": method, "bits": bits, "group_size": 32}]


def layers_of(base: Any, method: str, bits: int) -> tuple[ResolvedLayer, ...]:
    plan = Plan.parse({"name": "p", "base": str(base.directory), "rules": rules(method, bits)}, source="test")
    return resolve(plan, open_checkpoint(str(base.directory)))


def calibrated(base: Any) -> GivenPass:
    found = GivenPass(open_checkpoint(str(base.directory)), Calibration(seed=0))
    found.given = base.batches
    return found


def test_every_layer_is_found_and_every_component_counted(family_base: Any) -> None:
    layers = layers_of(family_base, "rtn", 4)
    assert len(layers) == LAYERS[family_base.name]
    assert all(layer.scheme is not None and layer.packed_scheme is not None for layer in layers)


def test_methods_lose_less_than_rounding_to_nearest(family_base: Any, tmp_path: Path) -> None:
    plans = [layers_of(family_base, method, 3) for method in ("rtn", "gptq", "awq")]
    sources = prepare_independent(calibrated(family_base), plans, ObjectStore(tmp_path))
    totals = []
    for source, layers in zip(sources, plans, strict=True):
        found = [source.quantized(layer).relative_output_error for layer in layers]
        unknown = [layer.name for layer, error in zip(layers, found, strict=True) if error is None]
        assert not unknown, f"no outputs: {unknown}"
        totals.append(sum(error for error in found if error is not None))
    assert totals[1] < 0.95 * totals[0]
    assert totals[2] < totals[0]
    unsmoothed = " ".join(sources[2].notes())
    assert "q_proj" not in unsmoothed  # what a norm feeds alone is smoothed
    assert "attn.qkv" not in unsmoothed


def test_sequential_calibration_runs_through(family_base: Any, tmp_path: Path) -> None:
    layers = layers_of(family_base, "gptq", 4)
    done: list[str] = []
    prepare_sequential(
        calibrated(family_base), layers, ObjectStore(tmp_path), lambda name, *_: done.append(name)
    )
    assert len(done) == len({re.sub(r"(\.\d+)\..*", r"\1", name) for name in done})


def test_stock_transformers_loads_the_variant(family_base: Any, tmp_path: Path) -> None:
    import transformers
    from compressed_tensors.compressors.base import decompress_module

    layers = layers_of(family_base, "awq", 4)
    (source,) = prepare_independent(calibrated(family_base), [layers], ObjectStore(tmp_path / "store"))
    document = {"name": "v", "base": str(family_base.directory), "rules": rules("awq", 4)}
    quantize(Plan.parse(document, source="test"), tmp_path / "v", source=source)
    family = find_family(json.loads((tmp_path / "v/config.json").read_text())["architectures"], source="v")
    architecture = getattr(transformers, family.architectures[0])
    model, report = architecture.from_pretrained(tmp_path / "v", output_loading_info=True)
    assert not any(report.values()), report
    for module in model.modules():
        decompress_module(module)
    loaded = {family.written_name(name): tensor for name, tensor in model.state_dict().items()}
    for name, expected in dequantized_state(tmp_path / "v"):
        assert torch.equal(loaded[name], torch.from_numpy(expected).to(torch.bfloat16)), name


@pytest.mark.parametrize("style", [0, 1])
def test_names_of_other_versions_give_the_same_variant(family_base: Any, style: int, tmp_path: Path) -> None:
    styles = OTHER_NAMES[family_base.name]
    patterns = styles[style % len(styles)]

    def renamed(name: str) -> str:
        for pattern, replacement in patterns:
            name = re.sub(pattern, replacement, name)
        return name

    other = Path(shutil.copytree(family_base.directory, tmp_path / "other"))
    tensors = load_file(other / "model.safetensors")
    names = {name: renamed(name) for name in tensors}
    assert len(set(names.values())) == len(names)
    assert set(names.values()) != set(names)
    save_file({names[name]: tensor for name, tensor in tensors.items()}, other / "model.safetensors")
    states = []
    for base in (family_base.directory, other):
        out = tmp_path / f"v-{base.name}"
        quantize(Plan.parse({"name": "v", "base": str(base), "rules": rules("rtn", 5)}, source="test"), out)
        states.append(dict(dequantized_state(out)))
    assert states[0].keys() == states[1].keys()
    assert all((states[0][name] == array).all() for name, array in states[1].items())
