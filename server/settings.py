"""Resolve the server's configuration once: defaults < file < environment < flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bitloom.errors import InputError
from server.config import ServerConfig, VariantConfig

PREFIX = "BITLOOM_SERVE_"


def resolve_config(
    file: Path | None,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
    loaded: Sequence[VariantConfig] = (),
) -> ServerConfig:
    """Configuration from its three sources; `flags` that are None were not given.

    Variants that were `loaded` meanwhile stand beside those of the sources, which prevail under equal names.

    An environment variable is BITLOOM_SERVE_ and the key, with two underscores between levels
    (BITLOOM_SERVE_LIMITS__BODY_BYTES); its value is read as YAML. Raises InputError that names the
    source of a wrong value.
    """
    from_file = _read_file(file) if file is not None else {}
    from_environment = _read_environment(environment)
    from_flags = {key: value for key, value in flags.items() if value is not None}
    merged = _merge(_merge(from_file, from_environment), from_flags)
    if "variants" not in merged:
        raise InputError("nothing to serve; give variant directories, or a configuration with `variants`")
    merged["variants"] = with_loaded(merged["variants"], loaded)
    named = [str(file)] if file is not None else []
    named += [PREFIX + "*"] if from_environment else []
    named += ["command line"] if from_flags else []
    return ServerConfig.parse(merged, source=", ".join(named) or "server configuration")


def with_loaded(variants: Any, loaded: Sequence[VariantConfig]) -> Any:
    """The variants of a configuration, not checked yet, and those loaded ones whose names they leave free."""
    if not isinstance(variants, list | tuple):
        return variants
    names = {each.get("name") for each in variants if isinstance(each, Mapping)}
    return [*variants, *(each.model_dump() for each in loaded if each.name not in names)]


def _read_file(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: cannot be read ({exc}); give an existing UTF-8 YAML file") from exc
    except yaml.YAMLError as exc:
        raise InputError(f"{path}: not valid YAML: {exc}") from exc
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected a mapping with `variants`, found {type(document).__name__}")
    return _relative_to(document, path.parent)


def _relative_to(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A file's relative paths are meant relative to the file."""
    variants = document.get("variants")
    if isinstance(variants, list):
        document = {
            **document,
            "variants": [
                _with_path(each, "directory", folder) if isinstance(each, dict) else each for each in variants
            ],
        }
    for key in ("keys_file", "log_dir", "state_dir", "study"):
        document = _with_path(document, key, folder)
    return document


def _with_path(document: dict[str, Any], key: str, folder: Path) -> dict[str, Any]:
    if isinstance(document.get(key), str):
        return {**document, key: str(folder / document[key])}
    return document


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(PREFIX):
            continue
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as exc:
            raise InputError(f"{name}: {text!r} is not valid YAML; give a number, a word or a list") from exc
        for key in reversed(name.removeprefix(PREFIX).lower().split("__")):
            value = {key: value}
        settings = _merge(settings, value)
    return settings


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(under, value) if both and under is not None else value
    return merged
