"""Exports to AutoAWQ's and GPTQ's formats load in the stock vLLM on a CPU: without our plugin, in bfloat16.

vLLM's CPU build has one kernel for these formats, for 4 bits; the 8-bit half of GPTQ needs a GPU. The build
for AVX2 lacks even that one operator: there `reference_kernel` stands in for it, and only for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitloom.tensors import index_tensors, read_array
from quantize.foreign.export import export_variant
from quantize.foreign.formats import Format
from quantize.foreign.importing import import_checkpoint

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800), pytest.mark.filterwarnings("ignore")]

# In bfloat16 the base itself is this far from float32 (mean 0.038, `docs/quantize.md`); a wrong nibble is
# whole units away.
NOISE = 0.35
GROUPS = {"group_size": 64, "symmetric": False}
PLANS: dict[str, dict[Format, list[dict[str, Any]]]] = {
    "tiny-llava": {
        "awq": [
            {"component": "vision", "bits": 4, "method": "awq", **GROUPS},
            {"component": "language", "bits": 4, "method": "awq", **GROUPS},
            {"layers": "head", "bits": 16},
        ],
        "gptq": [
            {"component": "all", "bits": 4, "method": "gptq", "group_size": 64},
            {"component": "language", "blocks": "front", "group_size": 32},
            {"component": "vision", "blocks": "end", "layers": "mlp", "bits": 16},
        ],
    },
    "tiny-blip2": {
        "awq": [
            {"component": "language", "bits": 4, "method": "awq", **GROUPS},
            {"component": "vision", "bits": 4, "method": "awq", **GROUPS},
            {"component": "vision", "blocks": "front", "bits": 16},
        ],
        "gptq": [
            {"component": "language", "bits": 4, "method": "gptq", "group_size": 64},
            {"component": "vision", "bits": 4, "method": "gptq", "group_size": 32},
        ],
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tiny-llava", "tiny-blip2"])
def test_stock_vllm_loads_exports(model: str, workshop: Any, reference: Any, tmp_path: Path) -> None:
    plans = PLANS[model]
    variants = dict(zip(plans, workshop.variants(model, plans), strict=True))
    exports = {}
    for target, variant in variants.items():
        exports[target] = tmp_path / target
        export_variant(variant, exports[target], target)
        import_checkpoint(str(exports[target]), tmp_path / f"back-{target}")
        before, after = index_tensors(variant), index_tensors(tmp_path / f"back-{target}")
        for name, entry in before.items():
            assert (read_array(entry) == read_array(after[name])).all(), name
    answers = workshop.ask_vllm(model, list(exports.values()), dtype="bfloat16", plugins="")
    questions = workshop.questions(model)
    for (target, variant), answer in zip(variants.items(), answers, strict=True):
        assert not isinstance(answer, str), f"{target}: {answer}"
        for want, got in zip(reference(variant, questions), answer, strict=True):
            best = sorted(got, key=lambda token: got[token])[-5:]
            gaps = [abs(got[token] - float(want[token])) for token in best]
            assert max(gaps) <= NOISE, f"{target}: {gaps}"
