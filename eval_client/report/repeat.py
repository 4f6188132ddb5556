"""Everything needed to repeat a run: its command, its settings, its provenance, the hashes of its files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from bitloom.files import FileEntry, list_files
from bitloom.results import RunManifest
from bitloom.schema import Schema
from eval_client.config import ENVIRONMENT_PREFIX, RunConfig
from eval_client.report.runs import ReportRun

_SAMPLES = {"caption": "captions", "vqa": "questions", "retrieval": "retrieval"}
_FLAGS = {"endpoint", "model", "data", "tasks", "concurrency", "slo", "is_explicit", *_SAMPLES.values()}


class Recipe(Schema):
    """How to get the run again. `command` is for a shell; `files` are those of the results directory."""

    model: str
    command: str
    manifest: dict[str, Any]
    files: tuple[FileEntry, ...]


def recipe(run: ReportRun) -> Recipe:
    """The recipe of a run."""
    left_out = {"scores", "breakdown", "latency", "memory", "notes"}
    return Recipe(
        model=run.name,
        command=command_of(run.manifest),
        manifest=run.manifest.model_dump(mode="json", exclude=left_out),
        files=list_files(run.directory),
    )


def command_of(manifest: RunManifest) -> str:
    """The `bitloom eval` that asks the same with the same settings; those without a flag are variables.

    A run of `bitloom ab` is one of two that were asked at once: its own command asks the same alone.
    """
    config = manifest.config
    flags = {
        "endpoint": manifest.endpoint,
        "model": manifest.model,
        "data": manifest.plan.dataset,
        "tasks": ",".join(manifest.plan.tasks),
        "samples": _samples(config),
        "concurrency": config.get("concurrency"),
        "slo": config.get("slo"),
        "out": f"runs/{manifest.model}",
    }
    variables = {**_variables(config), "prompts": manifest.plan.prompts.get("name")}
    words = [f"{ENVIRONMENT_PREFIX}{name.upper()}={_word(value)}" for name, value in variables.items()]
    words += ["bitloom", "eval"]
    words += [f"--{name} {_word(value)}" for name, value in flags.items() if value is not None]
    return " ".join(words)


def _samples(config: Mapping[str, Any]) -> str | None:
    parts = [f"{task}={config[field]}" for task, field in _SAMPLES.items() if config.get(field) is not None]
    return ",".join(parts) or None


def _variables(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that are not the default and have no flag."""
    defaults = {name: field.default for name, field in RunConfig.model_fields.items()}
    return {
        name: value
        for name, value in config.items()
        if name in defaults and name not in _FLAGS and value not in (None, defaults[name])
    }


def _word(value: Any) -> str:
    return shlex.quote(str(value))
