"""The trained model behind the real vLLM worker, asked by OpenAI's strict client."""

from __future__ import annotations

import base64
import io
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image, ImageDraw

from tests.conformance.openai.description import Description

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]

MODEL = Path(__file__).resolve().parents[3] / "zoo" / "tiny-llava"


def red_circle() -> str:
    image = Image.new("RGB", (96, 96), "white")
    ImageDraw.Draw(image).ellipse((24, 24, 72, 72), fill="red")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def chat(text: str) -> Any:
    parts = [{"type": "image_url", "image_url": {"url": red_circle()}}, {"type": "text", "text": text}]
    return [{"role": "user", "content": parts}]


def test_the_strict_client_and_a_killed_worker(serve: Callable[..., Any], tmp_path: Path) -> None:
    """One start of the engine serves every check: it is the expensive part."""
    if not (MODEL / "model.safetensors").is_file():
        pytest.skip(f"{MODEL} has no weights")
    server = serve(f"base={MODEL}", command=None)
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="none", max_retries=0, _strict_response_validation=True
    ) as client:
        _check_answers(client)
        _check_metrics(server.url)
        _check_conformance(server.url)
        _check_swap(server.url, client, tmp_path)
        _check_disconnect(server.url)
        server.worker("base").kill()
        _check_return(client)
    assert server.stop() == 0


def _check_answers(client: openai.OpenAI) -> None:
    messages = chat("What is in the picture?")
    whole = client.chat.completions.create(model="base", messages=messages, max_tokens=8, temperature=0)
    assert whole.model == "base"
    assert whole.usage is not None
    assert whole.usage.completion_tokens <= 8
    stream = client.chat.completions.create(
        model="base",
        messages=messages,
        max_tokens=8,
        temperature=0,
        stream=True,
        logprobs=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="base", messages=messages, max_tokens=30_000)


def _check_metrics(url: str) -> None:
    with urllib.request.urlopen(f"{url}/metrics") as response:
        lines = response.read().decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values['bitloom_memory_used_bytes{variant="base"}']) > 200 << 20
    assert float(values['bitloom_generated_tokens_total{variant="base"}']) > 0
    assert float(values['bitloom_time_to_first_token_seconds_count{route="base",variant="base"}']) == 1


def _check_conformance(url: str) -> None:
    """Real answers have the form of OpenAI's description, streamed and whole, errors too."""
    description = Description.read()
    chat_body = {"model": "base", "messages": [{"role": "user", "content": "What?"}], "max_tokens": 4}
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    text = {"model": "base", "prompt": ["a red", "a"], "max_tokens": 3, "logprobs": 2}
    chats: list[dict[str, Any]] = [
        {"logprobs": True, "top_logprobs": 2, "n": 2},
        {"response_format": {"type": "json_object"}, "seed": 3, "stop": ["zz"]},
        {"prompt_logprobs": 1},
        {**usage, "logprobs": True},
    ]
    requests = [("/v1/chat/completions", {**chat_body, **fields}, 200) for fields in chats]
    requests += [
        ("/v1/completions", {**text, "echo": True}, 200),
        ("/v1/completions", {**text, **usage}, 200),
    ]
    requests += [("/v1/chat/completions", {**chat_body, "temperature": -1}, 400)]
    requests += [("/v1/embeddings", {"model": "base", "input": "x"}, 404)]
    for path, body, expected in requests:
        status, answer = _post(url, path, body)
        assert status == expected, answer
        if status != 200:
            description.check_error(json.loads(answer))
        elif body.get("stream"):
            assert description.check_stream(path, answer) > 2
        else:
            description.check_whole(path, json.loads(answer))
    assert json.loads(_post(url, "/tokenize", {"model": "base", "prompt": "a red"})[1])["count"] == 2


def _check_swap(url: str, client: openai.OpenAI, folder: Path) -> None:
    """Other weights in place, under load: every answer is one model's or the other's."""
    other = Path(shutil.copytree(MODEL, folder / "other"))
    weights = other / "model.safetensors"
    data = bytearray(weights.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    begin, end = json.loads(data[8:start])["language_model.lm_head.weight"]["data_offsets"]
    head = data[start + begin : start + end]
    data[start + begin : start + end] = head[len(head) // 2 :] + head[: len(head) // 2]
    weights.write_bytes(data)

    def ask() -> str | None:
        answer = client.chat.completions.create(
            model="base", messages=chat("What is in the picture?"), max_tokens=8, temperature=0
        )
        return answer.choices[0].message.content

    before = ask()
    with ThreadPoolExecutor(4) as clients:
        under_load = [clients.submit(ask) for _ in range(40)]
        status, answer = _post(url, "/admin/variants/base/swap", {"directory": str(other)})
        assert status == 200, answer
        assert json.loads(answer)["way"] == "in_place"
        after = ask()
        seen = {each.result() for each in under_load}
    assert after != before
    assert seen <= {before, after}
    assert _post(url, "/admin/variants/base/swap", {"directory": str(MODEL)})[0] == 200
    assert ask() == before


def _check_disconnect(url: str) -> None:
    """The engine stops working for a client that hangs up."""
    body = {"model": "base", "prompt": "a", "max_tokens": 1500, "stream": True, "ignore_eos": True}
    request = urllib.request.Request(
        f"{url}/v1/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        response.readline()
        assert _running(url) == 1
    left = time.monotonic()
    while _running(url):
        assert time.monotonic() - left < 10  # a second on an idle machine


def _running(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics/workers") as response:
        lines = response.read().decode().splitlines()
    return next(float(each.split()[-1]) for each in lines if each.startswith("vllm:num_requests_running{"))


def _post(url: str, path: str, body: dict[str, Any]) -> tuple[int, str]:
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=300) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _check_return(client: openai.OpenAI) -> None:
    deadline = time.monotonic() + 600
    statuses = []
    while 200 not in statuses:
        assert time.monotonic() < deadline
        statuses.append(_status(client))
        time.sleep(0.2)
    assert set(statuses) <= {200, 502, 503}
    assert len(statuses) > 1  # it was really gone


def _status(client: openai.OpenAI) -> int:
    try:
        client.chat.completions.create(model="base", messages=chat("What?"), max_tokens=1)
    except openai.APIStatusError as error:
        return error.status_code
    return 200
