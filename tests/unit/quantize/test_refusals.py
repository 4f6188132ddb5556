"""What a plan cannot be is said within a second, before a weight is read and before torch is imported.

The commands run as processes in which reading weights is an error. The second is the process's own time, its
imports included: that the machine is busy is no fault of the command's.
"""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitloom.errors import PlanError
from bitloom.plan import Plan
from quantize.checkpoint import open_checkpoint
from quantize.resolve import resolve

LIMIT_S = 1.0
# Runs the command; prints whether torch came into it, the error, the seconds of processor time, the text.
PROBE = """
import sys, time
from click.testing import CliRunner
import bitloom.tensors
def refuse(*_, **__): raise AssertionError("weights were read")
bitloom.tensors.read_bytes = bitloom.tensors.read_array = refuse
from bitloom.cli.main import cli
done = CliRunner().invoke(cli, sys.argv[1:])
print("torch" in sys.modules, type(done.exception).__name__, time.process_time(), sep="\\n")
print(done.exception, done.output)
"""


def run(base: Path, rules: list[dict[str, Any]], plan: Path) -> tuple[str, str]:
    """The error's name and all text of a command that kept to the limit."""
    plan.write_text(yaml.safe_dump({"name": "p", "base": str(base), "rules": rules}))
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "quantize", str(plan), "--out", str(plan.parent / "v"), "--dry-run"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
    )
    has_torch, error, seconds, *text = done.stdout.splitlines()
    assert has_torch == "False"
    assert float(seconds) < LIMIT_S
    return error, " ".join(" ".join(text).split())


def reshape(weights: Path, name: str, shape: tuple[int, int]) -> None:
    """Give a tensor of a safetensors file another shape of as many numbers."""
    content = weights.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header[name]["shape"] = list(shape)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    weights.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def test_a_group_that_does_not_divide(llava_copy: Path, tmp_path: Path) -> None:
    name = "vision_tower.encoder.layers.1.mlp.fc2.weight"
    reshape(llava_copy / "model.safetensors", name, (1024, 32))
    error, text = run(llava_copy, [{"bits": 4, "group_size": 64}], tmp_path / "plan.yaml")
    assert error == "PlanError"
    assert "layers.1.mlp.fc2: group size 64 does not divide its 32 inputs; use 32, channel" in text
    assert not (tmp_path / "v").exists()


def test_qformer_layers_are_declared_dense(blip2_base: Path, tmp_path: Path) -> None:
    rules = [{"component": "connector", "bits": 4, "group_size": 64}]
    error, text = run(blip2_base, rules, tmp_path / "plan.yaml")
    assert error == "NoneType"
    assert "layers (qformer.encoder.layer.0.attention.attention.query and others)" in text
    assert "stored dense, so they save no bytes: vLLM builds them as plain nn.Linear" in text


def test_fused_siblings_with_different_bits(llava_base: Path) -> None:
    """A plan cannot name one of q, k, v; a family whose table puts them under two layer types can."""
    checkpoint = open_checkpoint(str(llava_base))
    vision, language = checkpoint.family.stacks
    torn = dataclasses.replace(language, linears={**language.linears, "self_attn.v_proj": "mlp"})
    family = dataclasses.replace(checkpoint.family, stacks=(vision, torn))
    rule = {"component": "language", "layers": "attention", "bits": 4, "group_size": 64}
    plan = Plan.parse({"name": "p", "base": str(llava_base), "rules": [rule]}, source="test")
    started = time.process_time()
    with pytest.raises(PlanError, match=r"q_proj would be 4-bit.*v_proj 16-bit.*same scheme"):
        resolve(plan, dataclasses.replace(checkpoint, family=family))
    assert time.process_time() - started < LIMIT_S
