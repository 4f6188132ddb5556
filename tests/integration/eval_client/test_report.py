"""Reports of two runs, and the commands that make them."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from bitloom.errors import DataError, EndpointError, InputError
from bitloom.files import sha256_file
from bitloom.results import RunManifest
from eval_client.cli import command as eval_command
from eval_client.cli_report import command
from eval_client.datasets import load_dataset
from eval_client.prompts import PRESETS
from eval_client.report.document import ReportFile
from eval_client.report.write import write_report
from eval_client.run.evaluation import evaluate
from eval_client.run.progress import SilentProgress

if TYPE_CHECKING:
    from tests.integration.eval_client.conftest import Oracle, Served

HOSTILE = "<script>alert('x')</script> \u2028 \x07 \u202e $x^2 & [a](http://b.example) `| a red circle"
LONG = "!" * 10**6


async def two_runs(served: Served, oracle: Oracle, directory: Path) -> list[Path]:
    """A run that knows everything, and one of another model that answers markup, once at length."""
    config = served.config()
    served.fake.answer = oracle(config)
    await evaluate(config, directory / "right", SilentProgress())
    first = load_dataset(config.data, config.limits).questions[0].question
    hostile = {PRESETS["zoo"].ask(first): HOSTILE + LONG}
    served.fake.answer = lambda asked: hostile.get(asked.prompt, HOSTILE) if asked.is_stream else "yes"
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
    pictures = [f"report-{name}.png" for name in ("quality", "scores", "latency", "memory", "samples")]
    assert [path.name for path in written] == ["report.html", "report.md", "report.json", *pictures]
    page = read(written[0])
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:)""", page)
    assert "url(" not in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "16.00" in page
    assert "bitloom serve fake=" in page
    assert sha256_file(sizes["fake"] / "model.safetensors") in page
    assert "retrieval: yes_probability" in page
    assert page.count("data:image/png;base64,") >= 3 + 4
    for picture in written[3:]:
        with Image.open(picture) as image:
            assert min(image.size) > 200


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


async def test_answers_cannot_do_anything(served: Served, oracle: Oracle, tmp_path: Path) -> None:
    page, markdown, document = map(
        read, write_report(await two_runs(served, oracle, tmp_path), tmp_path / "r.html", {})[:3]
    )
    for text in (page, markdown):
        assert not set("\u2028\x07\u202e") & set(text)
        assert len(text) < 1_000_000
        assert "\\x07" in text or "\\\\x07" in text
        assert re.search(r"999,\d+ of 1,000,\d+ characters not shown", text)
    rows = [line for line in markdown.splitlines() if "red circle" in line and "script" in line]
    assert rows
    for row in rows:
        assert "<" not in row.replace("\\<", "")
        assert "[a]" not in row
        assert "http://" not in row
        assert len(re.findall(r"(?<!\\)\|", row)) == 7
    assert "\u2028" not in document


async def test_the_json_holds_figures_comparisons_and_what_repeats_them(
    served: Served, oracle: Oracle, tmp_path: Path
) -> None:
    runs = await two_runs(served, oracle, tmp_path)
    write_report(runs, tmp_path / "r.json", {}, str(tmp_path / "eval.prom"))
    report = ReportFile.read(tmp_path / "r.json")
    assert [run.name for run in report.runs] == ["fake", "v2"]
    (comparison,) = report.comparisons
    accuracy = next(each for each in comparison.metrics if each.name == "vqa_accuracy")
    assert (accuracy.a, accuracy.b) == (1.0, 0.0)
    kinds = report.runs[0].kinds
    assert sum(kind.samples for kind in kinds) == 6
    assert all(kind.low is None or kind.low <= kind.value == 1.0 for kind in kinds)
    recipe = report.runs[0].recipe
    assert " BITLOOM_EVAL_BACKOFF_S=0.01 " in recipe.command
    assert " BITLOOM_EVAL_PROMPTS=zoo bitloom eval " in recipe.command
    assert "--samples caption=4,vqa=6,retrieval=4 --concurrency 3 " in recipe.command
    arguments = shlex.split(recipe.command.partition("bitloom eval ")[2])
    assert eval_command.make_context("eval", arguments).params["model"] == "fake"
    hashes = {entry.path: entry.sha256 for entry in recipe.files}
    assert hashes["samples.jsonl"] == sha256_file(runs[0] / "samples.jsonl")
    figures = (tmp_path / "eval.prom").read_text()
    families = {family.name: family for family in text_string_to_metric_families(figures)}
    scores = {
        (sample.labels["model"], sample.labels["score"]): sample.value
        for sample in families["bitloom_eval_score"].samples
    }
    assert scores["fake", "vqa_accuracy"] == 1.0
    assert scores["v2", "vqa_accuracy"] == 0.0
    assert families["bitloom_eval_latency_seconds"].samples


async def test_runs_of_one_model_are_told_apart(served: Served, tmp_path: Path) -> None:
    config = served.config(tasks=("vqa",), timed_sequential=0, timed_loaded=0)
    for name in ("first", "second"):
        await evaluate(config, tmp_path / name, SilentProgress())
    written = write_report([tmp_path / "first", tmp_path / "second"], tmp_path / "r.md", {})
    assert "fake (first), fake (second)" in read(written[0])
    assert "differ on 0 of 6 samples" in read(written[0])


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


async def test_figures_are_pushed_where_a_url_is_given(served: Served, tmp_path: Path) -> None:
    config = served.config(tasks=("vqa",), timed_sequential=0, timed_loaded=0)
    await evaluate(config, tmp_path / "run", SilentProgress())
    bodies: list[tuple[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append((request.path, await request.text()))
        return web.Response(status=200 if len(bodies) == 1 else 404)

    app = web.Application()
    app.router.add_put("/{path:.*}", take)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        report = partial(write_report, [tmp_path / "run"], tmp_path / "r.html", {}, url)
        await asyncio.to_thread(report)
        with pytest.raises(EndpointError, match="the figures were not taken"):
            await asyncio.to_thread(report)
    path, text = bodies[0]
    assert path == "/metrics/job/bitloom_eval"
    assert 'bitloom_eval_score{dataset="scenes:test",model="fake",score="vqa_accuracy",task="vqa"}' in text
