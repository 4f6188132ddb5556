"""The trained model behind the real vLLM worker, asked by OpenAI's strict client."""

from __future__ import annotations

import base64
import io
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image, ImageDraw

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


def test_the_strict_client_and_a_killed_worker(serve: Callable[..., Any]) -> None:
    """One start of the engine serves every check: it is the expensive part."""
    if not (MODEL / "model.safetensors").is_file():
        pytest.skip(f"{MODEL} has no weights")
    server = serve(f"base={MODEL}", command=None)
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="none", max_retries=0, _strict_response_validation=True
    ) as client:
        _check_answers(client)
        _check_metrics(server.url)
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
