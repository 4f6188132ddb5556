"""LangChain's standard tests of a chat model, through its OpenAI client, against a running server.

Runs in the environment `langchain` of `deploy/tools.py`, started by `tests/e2e/server/test_langchain.py`:
`BITLOOM_URL` has variants called `base` and `twin`, `BITLOOM_PICTURE` is a PNG file.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

suite: Any = importlib.import_module("langchain_tests.integration_tests.chat_models")
ChatOpenAI: Any = importlib.import_module("langchain_openai").ChatOpenAI
httpx: Any = importlib.import_module("httpx")


class TestBitloom(suite.ChatModelIntegrationTests):  # type: ignore[misc]
    """What zoo/tiny-llava can do. It answers questions about pictures of shapes, and nothing else.

    It has no tools, and where a grammar holds it to JSON it never ends a string: no structured output.
    """

    @pytest.fixture(autouse=True)
    def _picture_from_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The suite fetches its picture from a public server; tests need no network."""
        picture = Path(os.environ["BITLOOM_PICTURE"]).read_bytes()
        monkeypatch.setattr(suite.httpx, "get", lambda *_, **__: httpx.Response(200, content=picture))

    @property
    def chat_model_class(self) -> Any:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        # With a base_url, ChatOpenAI asks for the usage of streams only where it is told to.
        return {
            "model": "base",
            "base_url": os.environ["BITLOOM_URL"],
            "api_key": "none",
            "temperature": 0,
            "max_tokens": 32,
            "stream_usage": True,
        }

    @property
    def model_override_value(self) -> str:
        return "twin"

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        """Fetching is off by default, and the suite's picture is on a public server."""
        return False
