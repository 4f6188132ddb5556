"""Memory in a report: every figure that was measured, and none that was not."""

import io
from pathlib import Path

from PIL import Image

from bitloom.results import MemorySample, MemoryUse, WeightMemory
from eval_client.report.plots import memory_plot
from eval_client.report.runs import ReportRun
from eval_client.report.tables import memory_rows
from eval_client.tasks.scores import TaskScores
from tests.unit.eval_client.compare.conftest import manifest_of, question


def run_with(share: float | None) -> ReportRun:
    memory = tuple(
        MemorySample(at_s=at_s, resident_bytes=2**28, gpu_bytes=2**29, kv_cache_share=share)
        for at_s in (1.0, 2.0)
    )
    manifest = manifest_of("m", [question(0, "yes")], TaskScores())
    return ReportRun("m", Path("m"), manifest, {}, {}, (), memory, None)


def test_figures_that_were_not_measured_have_no_row() -> None:
    use = MemoryUse(source="tree of 7", samples=2, peak_resident_bytes=2**28, mean_resident_bytes=2.0**27)
    assert memory_rows(None) == {}
    assert memory_rows(use) == {"resident, MiB": "256 / 128", "read from": "tree of 7"}
    weights = {"language": WeightMemory(loaded_bytes=3 << 20, predicted_bytes=5 << 19)}
    loaded = use.model_copy(update={"weights": weights, "loaded_resident_bytes": 7 << 20})
    assert memory_rows(loaded)["language weights loaded, MiB (predicted)"] == "3.0 (2.5)"
    assert memory_rows(loaded)["resident when loaded, MiB"] == "7"
    cached = use.model_copy(update={"peak_kv_cache_share": 0.5, "mean_kv_cache_share": 0.25})
    assert memory_rows(cached)["KV cache, share in use"] == "0.500 / 0.250"


def test_the_cache_is_drawn_where_it_was_read() -> None:
    without, drawn = memory_plot([run_with(None)]), memory_plot([run_with(0.4)])
    assert without is not None
    assert drawn is not None
    assert without != drawn
    with Image.open(io.BytesIO(drawn)) as image:
        assert min(image.size) > 200
