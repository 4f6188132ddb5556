"""Every component by every method at every width, by our kernels in both workers, and in stock transformers.

First-token log-probabilities are those of the dequantized weights to 1e-3 in float32. A variant covers a cell
(component, method, bits) by giving the whole component that method and width; each variant covers one cell of
each component, and the 21 variants of a model cover all 63. Three of them, spread over methods and widths,
are not marked slow.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bitloom.plan import COMPONENTS
from bitloom.tensors import index_tensors

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600), pytest.mark.filterwarnings("ignore")]

MODELS = ("tiny-llava", "tiny-blip2")
METHODS, WIDTHS = ("rtn", "gptq", "awq"), (2, 3, 4, 5, 6, 7, 8)
CELLS = tuple(product(METHODS, WIDTHS))
STRIDE = 5  # components are at cells apart, so that methods and widths mix within a variant
MAX_DIFFERENCE = 1e-3
GROUP_SIZE = 64


def cells_of(index: int) -> dict[str, tuple[str, int]]:
    """What variant `index` gives each component."""
    return {part: CELLS[(index + STRIDE * place) % len(CELLS)] for place, part in enumerate(COMPONENTS)}


VARIANTS = tuple(cells_of(index) for index in range(len(CELLS)))
SPREAD = (0, 8, 16)
REST = tuple(index for index in range(len(VARIANTS)) if index not in SPREAD)


def rules_of(cells: dict[str, tuple[str, int]]) -> list[dict[str, Any]]:
    return [
        {"component": part, "method": method, "bits": bits, "group_size": GROUP_SIZE}
        for part, (method, bits) in cells.items()
    ]


def test_the_variants_cover_every_cell_once() -> None:
    covered = [(part, *cell) for cells in VARIANTS for part, cell in cells.items()]
    assert len(covered) == len(set(covered))
    assert set(covered) == set(product(COMPONENTS, METHODS, WIDTHS))
    spread = [cell for index in SPREAD for cell in VARIANTS[index].values()]
    assert {method for method, _ in spread} == set(METHODS)
    assert {bits for _, bits in spread} >= {2, 3, 4, 5, 7, 8}


@pytest.mark.parametrize(
    ("model", "indices"),
    [
        pytest.param("tiny-llava", SPREAD, id="tiny-llava-spread"),
        pytest.param("tiny-blip2", SPREAD, marks=pytest.mark.slow, id="tiny-blip2-spread"),
        *(
            pytest.param(model, REST[part::3], marks=pytest.mark.slow, id=f"{model}-rest-{part}")
            for model in MODELS
            for part in range(3)
        ),
    ],
)
def test_variants_compute_what_their_dequantized_weights_do(
    model: str,
    indices: tuple[int, ...],
    workshop: Any,
    reference: Any,
    packed_loaded: Any,
    transformers_loaded: Any,
) -> None:
    plans = {f"v{index}": rules_of(VARIANTS[index]) for index in indices}
    directories: list[Path] = workshop.variants(model, plans)
    questions = workshop.questions(model)
    answers = workshop.ask_vllm(model, directories)
    seen = set()
    for directory, index, answer in zip(directories, indices, answers, strict=True):
        where = f"{model} {VARIANTS[index]}"
        assert not isinstance(answer, str), f"{where}: {answer}"
        expected = reference(directory, questions)
        served = packed_loaded(directory, questions)
        loaded = transformers_loaded(directory, questions)
        for want, packed, own, got in zip(expected, served, loaded, answer, strict=True):
            assert float((packed - want).abs().max()) <= MAX_DIFFERENCE, f"{where}: transformers worker"
            assert float((own - want).abs().max()) <= MAX_DIFFERENCE, f"{where}: transformers"
            assert len(got) >= 20
            gaps = [abs(logprob - float(want[token])) for token, logprob in got.items()]
            assert max(gaps) <= MAX_DIFFERENCE, f"{where}: vLLM"
            seen.add(round(float(want.max()), 5))
    assert len(seen) > len(indices), "variants and questions must matter"


@pytest.mark.slow
def test_for_transformers_the_q_former_stays_packed_at_every_width(
    workshop: Any, reference: Any, packed_loaded: Any, transformers_loaded: Any
) -> None:
    plans = {
        f"q{bits}": [{"component": "connector", "method": "gptq", "bits": bits, "group_size": GROUP_SIZE}]
        for bits in WIDTHS
    }
    directories: list[Path] = workshop.variants("tiny-blip2", plans, "transformers")
    questions = workshop.questions("tiny-blip2")
    for directory in directories:
        names = {name for name in index_tensors(directory) if name.endswith(".weight_packed")}
        assert "language_projection.weight_packed" in names
        assert any(name.startswith("qformer.") for name in names)
        expected = reference(directory, questions)
        for ask in (packed_loaded, transformers_loaded):  # the former counts the layers that stay packed
            for want, got in zip(expected, ask(directory, questions), strict=True):
                assert float((got - want).abs().max()) <= MAX_DIFFERENCE, directory.name
