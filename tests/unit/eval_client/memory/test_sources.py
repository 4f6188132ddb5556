"""Readings of memory: from the gateway's metrics, and from processes."""

import os
import subprocess
import sys

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bitloom.memory import LoadedMemory
from bitloom.results import MemorySample
from eval_client.memory import summarise
from eval_client.memory.engine_metrics import parse_cache
from eval_client.memory.loaded import parse_loaded
from eval_client.memory.sources import (
    gateway_source,
    parse_gateway,
    process_source,
    process_tree,
    read_tree,
)

METRICS = """# HELP bitloom_memory_used_bytes Resident set of the worker and its child processes.
# TYPE bitloom_memory_used_bytes gauge
bitloom_memory_used_bytes{variant="base"} 2.147483648e+09
bitloom_memory_used_bytes{variant="v4"} 0.0
bitloom_memory_used_bytes_other{variant="v4"} 7.0
bitloom_requests_in_flight{variant="v4"} 7.0
"""


def test_the_variants_own_figure_is_read() -> None:
    reading = parse_gateway(METRICS, "base")
    assert reading is not None
    assert reading.resident_bytes == 2 << 30


@pytest.mark.parametrize("model", ["v4", "route"])
def test_what_is_not_there_or_not_yet_measured_is_none(model: str) -> None:
    assert parse_gateway(METRICS, model) is None


def test_a_route_with_one_variant_is_that_variant() -> None:
    reading = parse_gateway('bitloom_memory_used_bytes{variant="v8"} 9', "route")
    assert reading is not None
    assert reading.resident_bytes == 9


@pytest.mark.parametrize(("first", "is_found"), [(web.Response(status=503), False), (None, True)])
async def test_a_busy_gateway_is_asked_again(first: web.Response | None, is_found: bool) -> None:
    answers = [first, web.Response(text=METRICS)]

    async def metrics(request: web.Request) -> web.Response:
        answer = answers.pop(0)
        if answer is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return answer

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        source = await gateway_source(session, str(server.make_url("/v1")), "base")
    assert (source is not None) == is_found


def test_a_process_tree_holds_its_children() -> None:
    alone = read_tree(process_tree(os.getpid()), is_thorough=False)
    code = "import sys; kept = bytearray(60 << 20); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        together = read_tree(process_tree(os.getpid()), is_thorough=True)
    assert alone is not None
    assert together is not None
    assert together.resident_bytes > alone.resident_bytes + (60 << 20)
    assert together.proportional_bytes is not None
    assert 0 < together.proportional_bytes <= together.resident_bytes


def test_a_process_that_is_gone_has_no_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert read_tree(process_tree(child.pid), is_thorough=False) is None
    assert process_source(child.pid) is None


CACHES = """# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="base"} 0.25
vllm:kv_cache_usage_perc{engine="0",model_name="v4"} 0.5
"""


def test_the_cache_of_the_model_is_read() -> None:
    assert parse_cache(CACHES, "v4") == 0.5
    assert parse_cache(CACHES, "other") is None
    assert parse_cache('vllm:gpu_cache_usage_perc{model_name="base"} 0.75', "route") == 0.75
    assert parse_cache(METRICS, "base") is None
    reading = parse_gateway(METRICS + CACHES, "base")
    assert reading is not None
    assert reading.kv_cache_share == 0.25


def test_peak_and_mean_of_everything_that_could_be_read() -> None:
    samples = [
        MemorySample(at_s=0.0, resident_bytes=10, proportional_bytes=6, gpu_bytes=4, kv_cache_share=0.2),
        MemorySample(at_s=0.2, resident_bytes=30, gpu_bytes=8, kv_cache_share=0.6),
    ]
    source = process_source(os.getpid())
    assert source is not None
    use = summarise(source, samples)
    assert use is not None
    assert (use.peak_resident_bytes, use.mean_resident_bytes) == (30, 20)
    assert (use.peak_gpu_bytes, use.mean_gpu_bytes) == (8, 6)
    assert (use.peak_proportional_bytes, use.mean_proportional_bytes) == (6, 6)
    assert use.peak_kv_cache_share == 0.6
    assert use.mean_kv_cache_share == pytest.approx(0.4)


def test_what_a_model_took_when_loaded_is_the_variants_or_the_workers_own() -> None:
    gateway = (
        'bitloom_weight_bytes{variant="v4",component="language"} 4\n'
        'bitloom_loaded_peak_bytes{variant="v4"} 5\n'
    )
    assert parse_loaded(gateway, "route") == LoadedMemory({"language": 4}, None, 5)
    both = gateway + 'bitloom_weight_bytes{variant="v8",component="language"} 8\n'
    assert parse_loaded(both, "route") is None
    assert parse_loaded(both, "v8") == LoadedMemory({"language": 8})
    assert parse_loaded('bitloom_worker_weight_bytes{component="vision"} 3\n', "m") == LoadedMemory(
        {"vision": 3}
    )
