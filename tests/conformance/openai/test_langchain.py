"""LangChain's standard tests of a chat model, through its OpenAI client, against a running server.

`BITLOOM_URL=http://127.0.0.1:8000/v1 pytest tests/conformance/openai/test_langchain.py` where langchain-tests
and langchain-openai are installed; the server must have a variant called `base`.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

Standard: Any = pytest.importorskip("langchain_tests.integration_tests").ChatModelIntegrationTests
ChatOpenAI: Any = pytest.importorskip("langchain_openai").ChatOpenAI
URL = os.environ.get("BITLOOM_URL")
if URL is None:
    pytest.skip("BITLOOM_URL names no running server", allow_module_level=True)

# The library's own warnings are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


class TestBitloom(Standard):  # type: ignore[misc]
    """What a small model without tools can do."""

    @property
    def chat_model_class(self) -> Any:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "base", "base_url": URL, "api_key": "none", "temperature": 0, "max_tokens": 32}

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False

    @property
    def supports_image_inputs(self) -> bool:
        return False
