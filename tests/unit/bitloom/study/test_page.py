"""The report holds its pictures, its front and what a reader must know, and loads nothing."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bitloom.cli.main import cli
from bitloom.errors import InputError
from bitloom.study.importance.analysis import Effort, analyse
from bitloom.study.observations import Observations
from bitloom.study.page import Page, write_page
from bitloom.study.pictures import block_errors, front_rows
from bitloom.variant import LayerRecord, VariantManifest

EFFORT = Effort(trees=10, small_trees=5, resamples=10)


def layer(component: str, block: int | None, error: float | None, output: float | None) -> LayerRecord:
    return LayerRecord.model_validate(
        {
            "name": f"{component}.{block}.{error}.{output}",
            "component": component,
            "block": block,
            "layer_type": "mlp",
            "shape": (8, 8),
            "bits": 4,
            "method": "rtn",
            "group_size": 32,
            "symmetric": True,
            "container_bits": None,
            "stored_bytes": 40,
            "relative_error": error,
            "relative_output_error": output,
        }
    )


def variant(*layers: LayerRecord) -> VariantManifest:
    # Only the name and the layers are looked at.
    return VariantManifest.model_construct(name="mixed <4>", layers=layers)  # type: ignore[call-arg]


def test_the_page_holds_all_pictures(grid: Observations, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    profiled = variant(layer("language", 0, 0.1, 0.2), layer("language", 1, 0.1, 0.3))
    write_page(path, Page(analyse(grid, EFFORT), grid, "bpw", [profiled]))
    text = path.read_text()
    assert text.count("data:image/png;base64,") == 3
    assert "mixed &lt;4&gt;" in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "the ranking turns" in text or "R²" in text


def test_the_front_rises_with_size(grid: Observations) -> None:
    rows = front_rows(grid)
    sizes, scores = ([float(row[place]) for row in rows] for place in (-2, -1))
    assert sizes == sorted(sizes)
    assert scores == sorted(scores)
    assert len(rows[0]) == 5
    assert grid.sizes is not None
    assert sizes[0] == pytest.approx(float(np.min(grid.sizes)), rel=1e-3)


def test_errors_of_outputs_come_before_those_of_weights() -> None:
    found = block_errors(
        variant(
            layer("vision", 0, 0.1, 0.2),
            layer("vision", 0, 0.1, 0.4),
            layer("vision", 1, 0.5, None),
            layer("connector", None, 0.9, 0.9),
            layer("vision", 2, None, None),
        )
    )
    assert found == {"vision": {0: pytest.approx(0.3), 1: pytest.approx(0.5)}}


def test_the_command_refuses_what_is_no_page(write_csv: Callable[[str], Path]) -> None:
    path = write_csv("a,score,bpw\n1,2,3\n")
    done = CliRunner().invoke(
        cli, ["study", "report", str(path), "--score", "score", "--features", "a", "--out", "page.pdf"]
    )
    assert isinstance(done.exception, InputError)
