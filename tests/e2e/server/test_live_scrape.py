"""Every promised metric is in a scrape of a server that did all there is to do, with its labels."""

from __future__ import annotations

import base64
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.server.test_metrics import TABLE, promised

CONFIG = """
variants:
  - {{name: a, directory: {model}}}
  - {{name: b, directory: {model}}}
  - {{name: c, directory: {model}}}
routes:
  - {{name: r, arms: [{{variant: a}}, {{variant: b}}], shadow: {{variant: c}}}}
state_dir: {state}
"""


def post(url: str, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer that is read to its end."""
    fields = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    request = urllib.request.Request(url, json.dumps(body).encode(), fields)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            response.read()
            return response.status, dict(response.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers)


def chat(script: str, model: str = "r", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": script}], **fields}


def picture(script: str) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    parts = [{"type": "text", "text": script}, {"type": "image_url", "image_url": {"url": url}}]
    return {"model": "r", "messages": [{"role": "user", "content": parts}]}


def scrape(url: str) -> dict[str, set[frozenset[str]]]:
    """Label names by sample name."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as response:
        text = response.read().decode()
    found: dict[str, set[frozenset[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).add(frozenset(set(sample.labels) - {"le"}))
    return found


@pytest.mark.skipif(not TABLE.exists(), reason=f"the table of promised metrics is not at {TABLE}")
def test_every_promised_metric_is_scraped(
    serve: Callable[..., Any], checkpoint: Path, tmp_path: Path
) -> None:
    config = tmp_path / "server.yaml"
    config.write_text(CONFIG.format(model=checkpoint, state=tmp_path / "state"))
    server = serve(str(config))
    chats = f"{server.url}/v1/chat/completions"
    usage: Any = {"stream_options": {"include_usage": True}}
    assert post(chats, chat("tokens=3 images=5", stream=True, **usage))[0] == 200
    status, headers = post(chats, picture("tokens=2"))
    assert status == 200
    assert post(chats, chat("x"), x_bitloom_variant="b")[0] == 200
    assert post(chats, chat("x", n=0))[0] == 400
    scored = {"request_id": headers["x-request-id"], "score": 1}
    assert post(f"{server.url}/v1/feedback", scored)[0] == 200
    assert post(f"{server.url}/admin/experiments/r/arms/b/rollback", {})[0] == 200
    deadline = time.monotonic() + 20
    while "bitloom_shadow_agreement_ratio" not in (found := scrape(server.url)):
        assert time.monotonic() < deadline, "no shadow request ended"
        time.sleep(0.1)
    missing = []
    for name, labels in promised().items():
        # A histogram's samples have the table's name with an ending.
        given = found.get(name) or found.get(f"{name}_count") or set()
        if not given or (labels is not None and given != {frozenset(labels)}):
            missing.append((name, labels, given))
    assert not missing
    assert server.stop() == 0
