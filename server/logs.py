"""JSON logs: one object a line, of a fixed set of fields, so that no prompt and no image can get in."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

# What log calls may add with `extra`; everything else they add is left out.
FIELDS = (
    *("request_id", "route", "variant", "arm", "departure", "experiment", "reason", "key", "code"),
    *("finish_reason", "ttft_s", "latency_s", "prompt_tokens", "generated_tokens"),
)


class JsonFormatter(logging.Formatter):
    """Time in RFC 3339 (UTC), level, logger, message, the fields that are given, and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        given = {name: getattr(record, name, None) for name in FIELDS}
        line.update({name: value for name, value in given.items() if value is not None})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_lean() -> None:
    """Look up nothing for log lines that they do not show: every request has one.

    https://docs.python.org/3/howto/logging.html#optimization; called by `main` only.
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None


def log_as_json() -> None:
    """Let everything that this process logs be JSON; called by `main` only."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonFormatter())
