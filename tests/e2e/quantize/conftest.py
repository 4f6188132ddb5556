"""Real engines on real variants of the zoo's models: vLLM in a child process, transformers here."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bitloom.plan import Plan
from bitloom.tensors import index_tensors
from quantize.artifacts.prepare import prepare_independent
from quantize.calibration.passes import CalibrationPass
from quantize.checkpoint import open_checkpoint
from quantize.pipeline import quantize
from quantize.resolve import resolve
from quantize.store import ObjectStore
from server.workers.vllm_worker import CPU_ENVIRONMENT, ENVIRONMENT
from zoo.scenes import scene

ROOT = Path(__file__).parents[3]
ZOO = Path(os.environ.get("BITLOOM_ZOO", ROOT / "zoo"))
CHILD = Path(__file__).with_name("engine_child.py")
CHILD_TIMEOUT_S = 3000
SAMPLES = 16
TEXTS = {
    "tiny-llava": ("describe the image.", "what color is the circle?"),
    "tiny-blip2": ("a photo of", "Question: what color is the circle? Answer:"),
}

Rules = Sequence[dict[str, Any]]
FirstTokens = list[dict[int, float]]


def plan_of(model: str, name: str, rules: Rules, engine: str | None = None) -> Plan:
    """A plan on one of the zoo's models; statistics of the full-precision model, so that plans share them."""
    calibration = {"samples": SAMPLES, "mode": "independent"}
    document = {"name": name, "base": str(ZOO / model), "rules": list(rules), "calibration": calibration}
    return Plan.parse({**document, "engine": engine}, source="test")


@dataclass(frozen=True, slots=True)
class Workshop:
    """Makes variants from one store and asks engines about them."""

    folder: Path

    def variants(self, model: str, plans: dict[str, Rules], engine: str | None = None) -> list[Path]:
        """Directories of variants, calibrated once."""
        named = [plan_of(model, name, rules, engine) for name, rules in plans.items()]
        checkpoint = open_checkpoint(str(ZOO / model))
        calibrated = CalibrationPass(checkpoint, named[0].calibration)
        layers = [resolve(plan, checkpoint) for plan in named]
        sources = prepare_independent(calibrated, layers, ObjectStore(self.folder / "store"))
        for plan, source in zip(named, sources, strict=True):
            quantize(plan, self.folder / model / plan.name, source=source)
        return [self.folder / model / name for name in plans]

    def questions(self, model: str) -> list[tuple[Path, str]]:
        """Pictures of the test split, and what is asked about them."""
        found = []
        for index, text in enumerate(TEXTS[model]):
            path = self.folder / f"scene-{index}.png"
            scene("test", index).render().save(path)
            found.append((path, text))
        return found

    def ask_vllm(
        self, model: str, directories: Sequence[Path], *, dtype: str = "float32", plugins: str | None = None
    ) -> list[FirstTokens | str]:
        """First-token log-probabilities of each directory; `plugins` "" is vLLM without ours."""
        out = self.folder / "answers.json"
        out.unlink(missing_ok=True)
        job = {
            "models": [str(directory) for directory in directories],
            "questions": [[str(image), text] for image, text in self.questions(model)],
            "dtype": dtype,
            "is_stock": plugins == "",
            "out": str(out),
        }
        (self.folder / "job.json").write_text(json.dumps(job))
        environment = {**os.environ, **ENVIRONMENT, **CPU_ENVIRONMENT, "OMP_NUM_THREADS": "1"}
        if plugins is not None:
            environment["VLLM_PLUGINS"] = plugins
        done = subprocess.run(
            [sys.executable, str(CHILD), str(self.folder / "job.json")],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=CHILD_TIMEOUT_S,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        answers = json.loads(out.read_text())
        return [
            each if isinstance(each, str) else [{int(k): v for k, v in place.items()} for place in each]
            for each in answers
        ]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One store for all variants of a module."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


def first_tokens(model: Any, processor: Any, questions: Sequence[tuple[Path, str]]) -> list[torch.Tensor]:
    """Log-probabilities [vocabulary] of the first token of each question, by one forward of transformers."""
    from PIL import Image

    found = []
    for path, text in questions:
        content = [{"type": "image"}, {"type": "text", "text": text}]
        template = getattr(processor, "chat_template", None) or processor.tokenizer.chat_template
        prompt = processor.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=template,
            tokenize=False,
            add_generation_prompt=True,
        )
        with Image.open(path) as image:
            inputs = processor(images=[image], text=prompt, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            logits = model(**inputs).logits[0, -1]
        found.append(torch.log_softmax(logits.float(), -1))
    return found


Asked = Callable[..., list[torch.Tensor]]
Prepare = Callable[[nn.Module], None]


@pytest.fixture(scope="session")
def reference() -> Asked:
    """First tokens of a variant's dequantized weights in the base's architecture, float32; `prepare` may
    change the model before it is asked."""
    from server.workers.command import WorkerOptions
    from server.workers.transformers_worker import residency
    from server.workers.transformers_worker.loading import load_model

    def ask(
        directory: Path, questions: Sequence[tuple[Path, str]], prepare: Prepare | None = None
    ) -> list[torch.Tensor]:
        with pytest.MonkeyPatch.context() as patch:  # else layers stay packed, for our kernels
            patch.setattr(residency, "kernels", lambda: None)
            loaded = load_model(directory, WorkerOptions(dtype="float32"))
        if prepare is not None:
            prepare(loaded.model)
        return first_tokens(loaded.model, loaded.processor, questions)

    return ask


@pytest.fixture(scope="session")
def packed_loaded() -> Asked:
    """First tokens of a variant as our transformers worker serves it: every packed layer by our kernels."""
    from server.workers.command import WorkerOptions
    from server.workers.kernels.linear import PackedLinear
    from server.workers.transformers_worker.loading import load_model

    def ask(directory: Path, questions: Sequence[tuple[Path, str]]) -> list[torch.Tensor]:
        loaded = load_model(directory, WorkerOptions(dtype="float32"))
        layers = [module for module in loaded.model.modules() if isinstance(module, PackedLinear)]
        assert len(layers) == sum(name.endswith(".weight_packed") for name in index_tensors(directory)) > 0
        return first_tokens(loaded.model, loaded.processor, questions)

    return ask


PACKING = ("pack_to_int32", "unpack_from_int32")


@pytest.fixture(scope="session")
def transformers_loaded() -> Asked:
    """First tokens of a variant as stock `from_pretrained` loads it, with dense unpacking.

    It keeps scales and dense tensors as stored, whatever dtype it is asked for, so they are widened here.
    """
    import transformers
    from compressed_tensors.compressors.pack_quantized import base as packed_format
    from compressed_tensors.compressors.pack_quantized import helpers

    from quantize import backport

    def ask(directory: Path, questions: Sequence[tuple[Path, str]]) -> list[torch.Tensor]:
        with pytest.MonkeyPatch.context() as patch:  # other tests show what 0.17 does without it
            for module, name in itertools.product((packed_format, helpers), PACKING):
                patch.setattr(module, name, getattr(backport, name))
            model, report = transformers.AutoModelForImageTextToText.from_pretrained(
                directory, output_loading_info=True
            )
            assert not any(report.values()), report
            processor = transformers.AutoProcessor.from_pretrained(directory)
            return first_tokens(nn.Module.float(model).eval(), processor, questions)

    return ask
