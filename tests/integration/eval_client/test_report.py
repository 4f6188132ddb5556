"""Reports of two runs, and the commands that make them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from PIL import Image

from bitloom.errors import DataError, InputError
from bitloom.results import RunManifest
from eval_client.cli_report import command
from eval_client.report.write import write_report
from eval_client.run.evaluation import evaluate
from eval_client.run.progress import SilentProgress

if TYPE_CHECKING:
    from tests.integration.eval_client.conftest import Oracle, Served

HOSTILE = "<script>alert('x')</script> \u2028 \x07 $x^2 & a red circle"


async def two_runs(served: Served, oracle: Oracle, directory: Path) -> list[Path]:
    """A run that knows everything, and one of another model that answers markup."""
    config = served.config()
    served.fake.answer = oracle(config)
    await evaluate(config, directory / "right", SilentProgress())
    served.fake.answer = lambda asked: HOSTILE if asked.is_stream else "yes"
    await evaluate(config, directory / "wrong", SilentProgress())
    renamed(directory / "wrong", "v2")
    return [directory / "right", directory / "wrong"]


def renamed(run: Path, model: str) -> None:
    """Make it a run of another model: the fake endpoint has only one."""
    path = run / "run.json"
    manifest = RunManifest.read(path)
    plan = manifest.plan.model_copy(update={"model": model})
    path.write_text(manifest.model_copy(update={"model": model, "plan": plan}).model_dump_json())


def dense_checkpoint(directory: Path) -> Path:
    """A directory with one safetensors file of 3 parameters in 6 bytes."""
    directory.mkdir()
    header = json.dumps({"w": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(6)
    (directory / "model.safetensors").write_bytes(content)
    return directory


async def test_a_report_needs_nothing_from_outside(served: Served, oracle: Oracle, tmp_path: Path) -> None:
    runs = await two_runs(served, oracle, tmp_path)
    sizes = {name: dense_checkpoint(tmp_path / f"model-{name}") for name in ("fake", "v2")}
    written = write_report(runs, tmp_path / "out" / "report.html", sizes)
    assert [path.name for path in written] == ["report.html", "report-quality.png", "report-samples.png"]
    page = read(written[0])
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:)""", page)
    assert "url(" not in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "16.00" in page
    assert "retrieval: yes_probability" in page
    assert page.count("data:image/png;base64,") >= 3 + 4
    for picture in written[1:]:
        with Image.open(picture) as image:
            assert min(image.size) > 200


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


async def test_runs_that_were_asked_other_things_are_not_compared(served: Served, tmp_path: Path) -> None:
    config = served.config(tasks=("vqa",), timed_sequential=0, timed_loaded=0)
    await evaluate(config, tmp_path / "a", SilentProgress())
    await evaluate(config.model_copy(update={"questions": 3}), tmp_path / "b", SilentProgress())
    write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "report.html", {})
    assert "do not compare" in read(tmp_path / "report.html")
    assert not (tmp_path / "report-quality.png").exists()


async def test_what_cannot_be_reported_is_named(served: Served, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no run\.json; give a directory that `bitloom eval` wrote"):
        write_report([tmp_path], tmp_path / "report.html", {})
    config = served.config(tasks=("vqa",), timed_sequential=0, timed_loaded=0)
    await evaluate(config, tmp_path / "run", SilentProgress())
    with pytest.raises(InputError, match="--variant v9: no run of that model; the runs are of fake"):
        write_report([tmp_path / "run"], tmp_path / "report.html", {"v9": tmp_path})


def test_the_command_wants_names_with_directories(tmp_path: Path) -> None:
    arguments = [str(tmp_path), "--out", str(tmp_path / "r.html"), "--variant", "v9"]
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, InputError)
    assert "expected NAME=DIR" in str(result.exception)
