"""Runs in a process of its own: the real vLLM on several checkpoints, one engine after another.

    python engine_child.py JOB.json

The job: {"models": [directories], "questions": [[image, text], ...], "dtype": "float32", "is_stock": whether
the engine runs without our plugin, "out": file}. Of each model and question the 20 best log-probabilities of
the first token go to `out`: a list, for each model a list, for each question a dict of token id and
log-probability; or the error as a string.
"""

from __future__ import annotations

import base64
import gc
import json
import sys
from pathlib import Path
from typing import Any

from torch import nn
from vllm import LLM, SamplingParams

from server.workers.kernels.library import kernels

sys.path.insert(0, str(Path(__file__).parent))
import reference_kernel  # type: ignore[import-not-found]

TOP = 20


def main(path: str) -> None:
    """Ask each model everything."""
    job = json.loads(Path(path).read_text())
    kept = reference_kernel.install() if job["is_stock"] else None
    if kept is not None:
        sys.stderr.write("this build of vLLM has no cpu_gemm_wna16: a reference stands in for it\n")
    answers: list[Any] = []
    for model in job["models"]:
        try:
            answers.append(ask(model, job["questions"], job["dtype"], job["is_stock"]))
        except Exception as exc:  # noqa: BLE001 - the test that asked shows it
            answers.append(f"{type(exc).__name__}: {exc}")
        gc.collect()
        Path(job["out"]).write_text(json.dumps(answers))


def ask(model: str, questions: list[list[str]], dtype: str, is_stock: bool) -> list[dict[str, float]]:
    """The best first tokens of each question."""
    engine = LLM(
        model=model,
        dtype=dtype,
        enforce_eager=True,
        kv_cache_memory_bytes=64 << 20,
        max_model_len=256,
        max_num_seqs=4,
        limit_mm_per_prompt={"image": 1},
        skip_mm_profiling=True,
        enable_prefix_caching=False,
    )
    if not is_stock and dtype == "float32":
        engine.apply_model(check_packed)
    sampling = SamplingParams(temperature=0, max_tokens=1, logprobs=TOP)
    outputs = engine.chat([_messages(*question) for question in questions], sampling, use_tqdm=False)
    found = []
    for output in outputs:
        (places,) = output.outputs[0].logprobs
        found.append({str(token): entry.logprob for token, entry in places.items()})
    return found


def check_packed(model: nn.Module) -> None:
    """Raise where a layer is served by dense weights although our kernels take it."""
    names = {name.rpartition(".")[2] for name, _ in model.named_parameters()}
    if kernels() is not None and "weight_dequantized" in names:
        raise RuntimeError("packed weights were dequantized at load")


def _messages(image: str, text: str) -> list[dict[str, Any]]:
    url = "data:image/png;base64," + base64.b64encode(Path(image).read_bytes()).decode()
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    return [{"role": "user", "content": parts}]


if __name__ == "__main__":
    main(sys.argv[1])
