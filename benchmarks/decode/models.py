"""The models of `benchmarks.cpu_decode`: one random LLaVA and its variants, made once and kept.

They lie in `cpu-decode` under the benchmarks' cache (21 GB). No time depends on a weight's value, so that a
variant's integers are drawn, not rounded: making one takes seconds instead of minutes. All else of a variant,
its config and manifest, is what `bitloom quantize` writes.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import peer_home
from benchmarks.shapes import CLIP_LLAMA_1B, write_checkpoint
from bitloom.files import new_directory
from bitloom.plan import Plan
from bitloom.tensors import read_bytes
from bitloom.variant import MANIFEST_NAME, LayerRecord
from quantize.preview import Preview, preview
from quantize.write.config import variant_config
from quantize.write.layout import OutputTensor, TensorSpec
from quantize.write.manifest import copy_companions, write_manifest
from quantize.write.shards import ShardWriter

SHAPE = CLIP_LLAMA_1B
GROUP = 64
BASE = "base"
W8A8 = "w8a8"
POOL_BYTES = 64 << 20


def model_directory(name: str) -> Path:
    """The directory of `base`, `w2` to `w8` or `w8a8`, made where it is not there yet."""
    home = peer_home("cpu-decode")
    directory = home / name
    if name == BASE:
        return directory if (directory / "config.json").is_file() else _make_base(directory)
    if not (directory / MANIFEST_NAME).is_file():
        shutil.rmtree(directory, ignore_errors=True)
        _make_variant(plan_of(name, model_directory(BASE)), directory)
    return directory


def plan_of(name: str, base: Path) -> Plan:
    """All Linears at one width, head and vision tower too."""
    rule: dict[str, object] = {"component": "all", "method": "rtn", "bits": 8, "group_size": "channel"}
    if name == W8A8:
        rule["activations"] = 8
    else:
        rule |= {"bits": int(name.removeprefix("w")), "group_size": GROUP}
    return Plan.parse({"name": name, "base": str(base), "rules": [rule]}, source="benchmark")


def _make_base(directory: Path) -> Path:
    print("making the model: 3.6 GB of random weights", flush=True)
    partial = directory.with_name("base.partial")
    shutil.rmtree(partial, ignore_errors=True)
    write_checkpoint(partial, SHAPE)
    partial.rename(directory)
    return directory


def _make_variant(plan: Plan, directory: Path) -> None:
    print(f"making {plan.name}", flush=True)
    planned = preview(plan)
    with new_directory(directory) as work:
        copy_companions(planned.checkpoint.directory, work)
        records = _write_weights(work, planned)
        config = variant_config(planned.checkpoint.config, planned.checkpoint.family, planned.layers)
        (work / "config.json").write_text(json.dumps(config), encoding="utf-8")
        write_manifest(work, plan, planned.checkpoint, planned.outputs, planned.layers, records)


def _write_weights(work: Path, planned: Preview) -> tuple[LayerRecord, ...]:
    pool = np.random.default_rng(0).integers(0, 256, POOL_BYTES, dtype=np.uint8)
    records = []
    with ShardWriter(work, [spec for output in planned.outputs for spec in output.specs]) as shards:
        for output in planned.outputs:
            if output.layer is None or output.layer.packed_scheme is None:
                shards.write(output.name, read_bytes(output.entry))
                continue
            for spec in output.specs:
                shards.write(spec.name, _drawn(spec, output, pool))
            records.append(_record(output))
    return tuple(records)


def _drawn(spec: TensorSpec, output: OutputTensor, pool: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Random integers, and scales with which their products are of order one."""
    assert output.layer is not None
    assert output.layer.packed_scheme is not None
    if spec.name.endswith("weight_shape"):
        return np.array(output.layer.shape, dtype="<i8").view(np.uint8)
    if spec.dtype == "BF16":
        spread = 2**output.layer.packed_scheme.stored_bits / np.sqrt(12)
        scale = np.float32(1 / (spread * np.sqrt(output.layer.shape[1])))
        word = np.uint16(scale.view(np.uint32) >> 16)
        return np.full(spec.size // 2, word, dtype="<u2").view(np.uint8)
    repeats = -(-spec.size // pool.size)
    return pool[: spec.size] if repeats == 1 else np.tile(pool, repeats)[: spec.size]


def _record(output: OutputTensor) -> LayerRecord:
    layer = output.layer
    assert layer is not None
    assert layer.scheme is not None
    return LayerRecord(
        name=layer.name,
        component=layer.component,
        block=layer.block,
        layer_type=layer.layer_type,
        shape=layer.shape,
        bits=layer.scheme.bits,
        method=layer.scheme.method,
        group_size=layer.scheme.group_size,
        symmetric=layer.scheme.symmetric,
        activations=layer.scheme.activations,
        container_bits=None,
        stored_bytes=output.stored_bytes,
        relative_error=None,
    )
