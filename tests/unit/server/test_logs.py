"""JSON logs: one object a line, and nothing but the fields that are meant to be there."""

from __future__ import annotations

import json
import logging
import sys

from server.logs import JsonFormatter


def formatted(**extra: object) -> dict[str, object]:
    record = logging.LogRecord("server.x", logging.INFO, "x.py", 1, "request %s\nended", ("r1",), None)
    record.__dict__.update(extra)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    document: dict[str, object] = json.loads(line)
    return document


def test_a_line_has_time_level_logger_message_and_fields() -> None:
    line = formatted(request_id="r1", variant="w4", arm="w4", code=200, ttft_s=0.25)
    assert line.pop("time")
    assert line == {
        "level": "INFO", "logger": "server.x", "message": "request r1\nended",
        "request_id": "r1", "variant": "w4", "arm": "w4", "code": 200, "ttft_s": 0.25,
    }  # fmt: skip


def test_other_fields_and_empty_ones_are_left_out() -> None:
    assert not {"prompt", "image", "arm"} & set(formatted(prompt="secret", image="data:", arm=None))


def test_a_traceback_is_in_the_line() -> None:
    try:
        raise ValueError("x")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed", (), sys.exc_info())
    assert "ValueError: x" in json.loads(JsonFormatter().format(record))["exception"]
