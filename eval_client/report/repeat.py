"""Everything needed to repeat a run: commands, plan, settings, provenance, the hashes of all files."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from bitloom.files import FileEntry, list_files
from bitloom.results import RunManifest
from bitloom.schema import Schema
from bitloom.variant import MANIFEST_NAME, read_manifest
from eval_client.config import ENVIRONMENT_PREFIX, RunConfig
from eval_client.report.runs import ReportRun
from eval_client.report.text import visible

_SHOWN = 4000
_SAMPLES = {"caption": "captions", "vqa": "questions", "retrieval": "retrieval"}
_FLAGS = {"endpoint", "model", "data", "tasks", "concurrency", "slo", "is_explicit", *_SAMPLES.values()}


class Recipe(Schema):
    """How to get the run again.

    `before` are the commands that make and serve the model, and `plan` what a variant was made by, where
    the model's directory is known; `command` asks it. `model_files` and `files` are those of the model's and
    of the results directory.
    """

    model: str
    before: tuple[str, ...] = ()
    plan: dict[str, Any] | None = None
    model_files: tuple[FileEntry, ...] = ()
    command: str
    manifest: dict[str, Any]
    files: tuple[FileEntry, ...]


def recipe(run: ReportRun) -> Recipe:
    """The recipe of a run."""
    left_out = {"scores", "breakdown", "latency", "memory", "notes"}
    return Recipe(
        model=run.name,
        **_model(run),
        command=command_of(run.manifest),
        manifest=run.manifest.model_dump(mode="json", exclude=left_out),
        files=list_files(run.directory),
    )


def _model(run: ReportRun) -> dict[str, Any]:
    """What a recipe says of the model: a variant's manifest has the hashes, a dense checkpoint is read."""
    directory, name = run.model_directory, run.manifest.model
    if directory is None:
        return {}
    serve = (
        f"bitloom serve {_word(f'{name}={directory}')} --port {urlsplit(run.manifest.endpoint).port or 8000}"
    )
    if not (directory / MANIFEST_NAME).is_file():
        return {"before": (serve,), "model_files": list_files(directory)}
    variant = read_manifest(directory)
    made = (
        f"# {name}.json: the plan below; base {variant.base.path}, weights {variant.base.weights_sha256}",
        f"bitloom quantize {_word(f'{name}.json')} --out {_word(directory)}",
    )
    plan = variant.plan.model_dump(mode="json", exclude_defaults=True)
    return {"before": (*made, serve), "plan": plan, "model_files": variant.files}


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


def recipe_text(made: Recipe) -> str:
    """The recipe as plain text: commands, hashes, plan, settings."""
    hashes = [f"{entry.sha256}  {entry.path}  {entry.bytes} bytes" for entry in made.files]
    weights = [f"{entry.sha256}  {made.model}: {entry.path}" for entry in made.model_files]
    plan = [] if made.plan is None else ["", json.dumps(made.plan, indent=2)]
    commands = [visible(command, _SHOWN) for command in (*made.before, made.command)]
    return "\n".join([*commands, "", *weights, *hashes, *plan, "", json.dumps(made.manifest, indent=2)])
