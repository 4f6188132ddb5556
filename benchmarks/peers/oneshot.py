"""Runs in llm-compressor's own environment: `oneshot` on a LLaVA, once per job of a JSON file.

    python oneshot.py JOBS.json

The file: {"model": DIR, "calibration": FILE, "held_out": FILE, "out": DIR, "jobs": [{"name", "schemes"}]},
batches as torch files of lists of dicts of tensors, schemes as {component: [method, bits]}. For each job the
weights after `oneshot` (quantized and dequantized), the logits on the held-out batches and the checkpoint
are saved below `out`, on request; the last line printed is {"seconds": {job: seconds}, "cpu_seconds": ...}.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from llmcompressor import oneshot  # type: ignore[import-not-found]
from llmcompressor.core import reset_session  # type: ignore[import-not-found]
from llmcompressor.modifiers.gptq import GPTQModifier  # type: ignore[import-not-found]
from llmcompressor.modifiers.quantization import QuantizationModifier  # type: ignore[import-not-found]
from llmcompressor.modifiers.transform.awq import AWQMapping, AWQModifier  # type: ignore[import-not-found]
from llmcompressor.pipelines.cache import IntermediatesCache  # type: ignore[import-not-found]
from safetensors.torch import save_file
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, LlavaForConditionalGeneration

TARGETS = {
    "vision": r"re:.*vision_tower.*(q_proj|k_proj|v_proj|out_proj|fc1|fc2)$",
    "connector": r"re:.*multi_modal_projector\.linear_[12]$",
    "language": r"re:.*language_model.*(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)$",
}
_LAYER = r"re:.*language_model.*"
LANGUAGE_MAPPINGS = [
    AWQMapping(f"{_LAYER}input_layernorm$", [f"{_LAYER}{name}_proj$" for name in "qkv"]),
    AWQMapping(f"{_LAYER}v_proj$", [f"{_LAYER}o_proj$"]),
    AWQMapping(f"{_LAYER}post_attention_layernorm$", [f"{_LAYER}gate_proj$", f"{_LAYER}up_proj$"]),
    AWQMapping(f"{_LAYER}up_proj$", [f"{_LAYER}down_proj$"]),
]
GROUP_SIZE = 64


def main(path: str) -> None:
    """Run the jobs."""
    # llm-compressor pins memory for AWQ even where there is no accelerator, and fails.
    IntermediatesCache.pin_memory = lambda *_, **__: None
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    calibration = torch.load(document["calibration"])
    held_out = torch.load(document["held_out"])
    seconds, cpu_seconds = {}, {}
    for job in document["jobs"]:
        seconds[job["name"]], cpu_seconds[job["name"]] = run(job, document, calibration, held_out)
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds}), flush=True)


def run(
    job: dict[str, Any], document: dict[str, Any], calibration: list[Any], held_out: list[Any]
) -> tuple[float, float]:
    """One job: seconds of loading, `oneshot` and, where asked for, saving; by the clock and of the CPU."""
    out = Path(document["out"]) / job["name"]
    out.mkdir(parents=True, exist_ok=True)
    started, cpu_started = time.monotonic(), time.process_time()
    reset_session()
    model = LlavaForConditionalGeneration.from_pretrained(document["model"], dtype=torch.float32).eval()
    recipe = [
        modifier
        for component, choice in job["schemes"].items()
        for modifier in _modifiers(component, *choice)
    ]
    batches: Any = calibration
    data: Any = DataLoader(batches, batch_size=1, collate_fn=lambda batch: batch[0])
    is_learning = any(method != "rtn" for method, _ in job["schemes"].values())
    calibrating = {
        "dataset": data,
        "num_calibration_samples": len(calibration),
        "processor": AutoTokenizer.from_pretrained(document["model"]),
    }
    # Sequential calibration loses the vision tower's statistics ("No statistics available").
    pipeline = {"pipeline": "basic"} if is_learning and "vision" in job["schemes"] else {}
    oneshot(model=model, recipe=recipe, **(calibrating if is_learning else {}), **pipeline)
    if job.get("save"):
        model.save_pretrained(out, save_compressed=True)
        return time.monotonic() - started, time.process_time() - cpu_started
    elapsed = time.monotonic() - started, time.process_time() - cpu_started
    with torch.no_grad():
        torch.save([model(**batch).logits for batch in held_out], out / "logits.pt")
    linears = {n: m.weight for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    save_file(
        {name: weight.detach().clone() for name, weight in linears.items()}, out / "weights.safetensors"
    )
    return elapsed


def _modifiers(component: str, method: str, bits: int) -> list[Any]:
    weights = QuantizationArgs(
        num_bits=bits, type="int", symmetric=True, strategy="group", group_size=GROUP_SIZE, actorder=None
    )
    groups = {component: QuantizationScheme(targets=[TARGETS[component]], weights=weights)}
    if method == "gptq":
        return [GPTQModifier(config_groups=groups, ignore=[], actorder="static")]
    smoothing = [AWQModifier(mappings=LANGUAGE_MAPPINGS)] if method == "awq" else []
    return [*smoothing, QuantizationModifier(config_groups=groups, ignore=[])]


if __name__ == "__main__":
    main(sys.argv[1])
