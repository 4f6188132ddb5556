"""True memory: what a worker keeps falls, from bf16 to each width, as its manifest says; so does its peak.

The model is random and large enough (0.4 GB in bf16) for the differences to stand out from how much one
process' resident set differs from the next's.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.shapes import LlavaShape, write_checkpoint
from bitloom.memory import LoadedMemory, parse_worker
from bitloom.plan import Plan
from bitloom.variant import Engine, read_manifest
from quantize.pipeline import quantize
from server.workers.command import WorkerOptions
from server.workers.kernels.library import kernels
from tests.e2e.workers.conftest import running

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(kernels() is None, reason="no C++ compiler, and no prebuilt library"),
]

SHAPE = LlavaShape(512, 2048, 8, 1024, 2816, 14, 16, 512)
OPTIONS = WorkerOptions(max_model_len=256, kv_cache_bytes=64 << 20)
WIDTHS = (2, 3, 4, 5, 6, 7, 8)
ENGINES: tuple[Engine, ...] = ("transformers", "vllm")
LEAST_SHARE = 0.9
# Positions, rotary tables, padding: nothing that grows with the width.
SLACK = 0.02


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where base and variants lie; 2 GB, which do not stay."""
    with ExitStack() as stack:
        work = tmp_path_factory.mktemp("memory")
        stack.callback(shutil.rmtree, work)
        stack.enter_context(pytest.MonkeyPatch.context()).chdir(Path(__file__).parents[3])
        write_checkpoint(work / "base", SHAPE)
        for bits in WIDTHS:
            rules = [{"component": "all", "method": "rtn", "bits": bits, "group_size": 64}]
            document = {"name": f"w{bits}", "base": str(work / "base"), "rules": rules}
            quantize(Plan.parse(document, source="test"), work / f"w{bits}")
        yield work


@pytest.fixture(scope="module")
def loaded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Engine, dict[str, LoadedMemory]]:
    """What each worker says once it is loaded, by engine and directory."""
    return {
        engine: {name: measured(engine, folder / name, tmp_path_factory.mktemp("w")) for name in names()}
        for engine in ENGINES
    }


def names() -> list[str]:
    return ["base", *(f"w{bits}" for bits in WIDTHS)]


def measured(engine: Engine, directory: Path, work: Path) -> LoadedMemory:
    with running(engine, directory, work, OPTIONS) as worker:
        found = parse_worker(worker.client.get("/metrics").text)
    assert found is not None
    return found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bits", WIDTHS)
def test_the_resident_set_falls_as_the_manifest_says(
    engine: Engine, bits: int, loaded: dict[Engine, dict[str, LoadedMemory]], folder: Path
) -> None:
    base, variant = loaded[engine]["base"], loaded[engine][f"w{bits}"]
    assert base.resident_bytes is not None
    assert variant.resident_bytes is not None
    stored = sum(path.stat().st_size for path in (folder / "base").glob("*.safetensors"))
    predicted = stored - read_manifest(folder / f"w{bits}").total.resident_bytes[engine]
    assert predicted > 100 << 20
    assert base.resident_bytes - variant.resident_bytes >= LEAST_SHARE * predicted


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bits", WIDTHS)
def test_loading_never_peaks_above_bf16(
    engine: Engine, bits: int, loaded: dict[Engine, dict[str, LoadedMemory]]
) -> None:
    base, variant = loaded[engine]["base"], loaded[engine][f"w{bits}"]
    assert base.peak_bytes is not None
    assert variant.peak_bytes is not None
    assert variant.peak_bytes <= base.peak_bytes


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bits", WIDTHS)
def test_tensors_take_what_the_manifest_says(
    engine: Engine, bits: int, loaded: dict[Engine, dict[str, LoadedMemory]], folder: Path
) -> None:
    manifest = read_manifest(folder / f"w{bits}")
    found = loaded[engine][f"w{bits}"].weights
    for component, footprint in manifest.components.items():
        predicted = footprint.resident_bytes[engine]
        assert found[component] == pytest.approx(predicted, rel=SLACK), component


@pytest.mark.parametrize("engine", ENGINES)
def test_memory_does_not_grow_with_the_first_answers(
    engine: Engine, folder: Path, tmp_path: Path, scenes: list[Image.Image], ask: Any
) -> None:
    """Weights that came only when they are used would make the figures at load too small."""
    from server.supervisor.memory import TreeMemory

    with running(engine, folder / "base", tmp_path, OPTIONS) as worker:
        found = parse_worker(worker.client.get("/metrics").text)
        worker.chat(messages=ask(scenes[0], "What is this?"), max_tokens=2, temperature=0)
        after = TreeMemory(worker.process.pid).resident_bytes()
    assert found is not None
    assert found.resident_bytes is not None
    assert after - found.resident_bytes < 100 << 20
