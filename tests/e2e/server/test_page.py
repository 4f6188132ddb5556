"""The page in a real Chromium: drop a scene, compare two variants, vote, see the count, look at every tab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.names import dashboard_expressions, metric_names
from deploy.tools import interpreter
from zoo.scenes import scene

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "zoo" / "tiny-llava"
CHROMIUM = Path("/usr/bin/chromium")
PYTHON = interpreter("deploy-tools")
# Where the screenshots of the documentation go, and the study that they show:
# BITLOOM_PICTURES=docs/pictures BITLOOM_STUDY=results.csv pytest -k vllm tests/e2e/server/test_page.py
PICTURES, STUDY = os.environ.get("BITLOOM_PICTURES"), os.environ.get("BITLOOM_STUDY")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium (Debian: apt-get install chromium)"),
    pytest.mark.skipif(
        PYTHON is None, reason="no Playwright and axe-core here: python deploy/tools.py deploy-tools"
    ),
]

# Figures made up so that the front is known; no picture of the documentation shows them.
MADE_UP = ["plan,plan_hash,state,error,caption,caption_se,bytes,bpw,bpw_paper,seconds"] + [
    f"v{bits}-l{bits},{bits},measured,,{0.9 - 1.2 / bits**2},0.01,{bits * 100_000},{bits + 0.5},{bits},1"
    for bits in range(2, 9)
]


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny-llava with its language model in 4 bits."""
    folder = tmp_path_factory.mktemp("variants")
    rules = [
        {"component": "vision", "bits": 8, "method": "rtn", "group_size": 64},
        {"component": "connector", "bits": 16},
        {"component": "language", "bits": 4, "method": "rtn", "group_size": 64},
    ]
    plan = {"schema_version": 1, "name": "v8-c16-l4", "base": str(MODEL), "rules": rules}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    target = folder / "v8-c16-l4"
    command = [sys.executable, "-m", "bitloom", "quantize", str(folder / "plan.yaml"), "--out", str(target)]
    subprocess.run(command, check=True)
    return target


def visit(url: str, question: str, folder: Path) -> dict[str, Any]:
    assert PYTHON is not None
    picture = folder / "scene.png"
    scene("test", 7).render().save(picture)
    child = Path(__file__).with_name("browser_child.py")
    command = [str(each) for each in (PYTHON, child, url, picture, question, folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def configuration(folder: Path, variants: dict[str, Path]) -> str:
    study = Path(STUDY).resolve() if STUDY else folder / "results.csv"
    if STUDY is None:
        study.write_text("\n".join(MADE_UP) + "\n", encoding="utf-8")
    first, second, *_ = variants
    config = {
        "variants": [{"name": name, "directory": str(path)} for name, path in variants.items()],
        "routes": [{"name": "llava", "arms": [{"variant": first, "weight": 3}, {"variant": second}]}],
        "state_dir": str(folder / "state"),
        "study": str(study),
    }
    file = folder / "server.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return str(file)


def traffic(url: str) -> None:
    """What the live tab has to show: users of the route, a few of them content."""
    for number in range(24):
        messages = [{"role": "user", "content": "tokens=3 delay=0.01"}]
        body = {"model": "llava", "user": str(number), "messages": messages, "max_tokens": 8, "stream": True}
        answer = post(f"{url}/v1/chat/completions", body)
        if number % 3 == 0:
            score = {"request_id": answer["x-request-id"], "score": number % 2}
            post(f"{url}/v1/feedback", score)


def post(url: str, body: dict[str, Any]) -> HTTPMessage:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        response.read()
        headers: HTTPMessage = response.headers
        return headers


def check(seen: dict[str, Any], first: str, second: str) -> None:
    assert seen["outside"] == []
    assert seen["console"] == []
    assert [each for each in seen["violations"] if each[2] in ("serious", "critical")] == []
    phone = {name: width for name, width in seen["widths"].items() if name.startswith("phone")}
    assert phone == dict.fromkeys(("phone-study", "phone-compare", "phone-live"), 360)
    assert seen["open"]["heads"] == [first, second]
    assert seen["open"]["vote"] == f"Voted for {first}: better in 1 of 1 vote. Thank you."
    assert all(answer for answer in seen["open"]["answers"])
    assert seen["blind"]["heads"] == ["Answer A", "Answer B"]
    assert all(figures.count("hidden") == 2 for figures in seen["blind"]["figures"])
    assert {each.partition(": ")[2] for each in seen["blind"]["revealed"]} == {first, second}
    winner = seen["blind"]["revealed"][0].partition(": ")[2]
    won = 2 if winner == first else 1
    assert seen["blind"]["vote"] == f"Voted for {winner}: better in {won} of 2 votes. Thank you."
    variants, routes, arms = seen["live"][:3]
    assert all(word in variants for word in (first, second, "ready"))
    assert "75.0 %" in routes
    assert f"{first} (control)" in arms
    requests = [int(line.split("\t")[2]) for line in arms.splitlines()[2:]]
    assert sum(requests) == 24
    assert STUDY is not None or "v8-l8" in seen["study"][0]
    wanted = ["tab-compare", "picture", "question", "blind", "tokens", "Ask"]
    assert [each for each in seen["keyboard"] if each in wanted][: len(wanted)] == wanted


def check_streams(growth: dict[str, list[list[int]]], names: str) -> None:
    """All texts grew bit by bit, and every one was still growing when all had begun."""
    assert sorted(growth) == sorted(names)
    for changes in growth.values():
        lengths = [length for length, _ in changes]
        assert len(set(lengths)) > 5
        assert lengths == sorted(lengths)
        assert changes[-1][1] == len(names)


def check_engine_metrics(url: str) -> None:
    """Every metric of vLLM that a dashboard names is in the scrape of a real engine, with its variant."""
    with urllib.request.urlopen(f"{url}/metrics/workers") as response:
        scrape = response.read().decode()
    named = {name for name in metric_names(dashboard_expressions()) if name.startswith("vllm:")}
    assert len(named) == 12
    assert [name for name in named if f"\n{name}{{" not in scrape] == []
    assert 'variant="base"' in scrape


def votes(url: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}/metrics") as response:
        lines = response.read().decode().splitlines()
    name = "bitloom_feedback_score_count"
    return {line: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)}


@pytest.mark.slow
def test_with_engines_that_are_none(serve: Callable[..., Any], checkpoint: Path, tmp_path: Path) -> None:
    server = serve(configuration(tmp_path, dict.fromkeys("abcd", checkpoint)))
    traffic(server.url)
    seen = visit(server.url, "tokens=12 delay=0.04", tmp_path)
    check(seen, "a", "b")
    check_streams(seen["growth"], "abcd")
    assert sum(votes(server.url).values()) == 12


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.timeout(1800)
def test_with_two_variants_of_tiny_llava_in_vllm(
    serve: Callable[..., Any], quantized: Path, tmp_path: Path
) -> None:
    assert not (PICTURES and STUDY is None), "pictures of the documentation show real results: BITLOOM_STUDY"
    if not (MODEL / "model.safetensors").is_file():
        pytest.skip(f"{MODEL} has no weights")
    variants = {"base": MODEL, quantized.name: quantized}
    server = serve(configuration(tmp_path, variants), command=None)
    traffic(server.url)
    seen = visit(server.url, "describe the image.", tmp_path)
    check(seen, "base", quantized.name)
    assert all(len(answer.split()) > 2 for answer in seen["open"]["answers"])
    assert "16.00" in seen["open"]["figures"][0]
    assert "6.0" in seen["open"]["figures"][1]
    memory = [line.split("\t")[5] for line in seen["live"][0].splitlines()[2:]]
    assert [each for each in memory if not each.endswith(("MiB", "GiB"))] == []
    check_engine_metrics(server.url)
    if PICTURES is not None:
        for path in tmp_path.glob("p*-*.png"):
            shutil.copy(path, Path(PICTURES) / path.name)
