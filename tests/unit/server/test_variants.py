"""Which engine runs what."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitloom.errors import InputError
from bitloom.variant import Engine
from server.config import ServerConfig
from server.variants import resolve_variants

MakeCheckpoint = Callable[..., Path]
BOTH: tuple[Engine, ...] = ("vllm", "transformers")
ONLY_TRANSFORMERS: tuple[Engine, ...] = ("transformers",)


def config_for(directory: Path, **settings: Any) -> ServerConfig:
    return ServerConfig.model_validate({"variants": [{"name": "a", "directory": directory}], **settings})


def test_auto_prefers_vllm_where_it_is_installed(make_checkpoint: MakeCheckpoint) -> None:
    config = config_for(make_checkpoint())
    assert resolve_variants(config, BOTH)[0].engine == "vllm"
    assert resolve_variants(config, ONLY_TRANSFORMERS)[0].engine == "transformers"


def test_what_vllm_has_no_model_for_runs_with_transformers(make_checkpoint: MakeCheckpoint) -> None:
    directory = make_checkpoint(architecture="Blip2ForImageTextRetrieval")
    assert resolve_variants(config_for(directory), BOTH)[0].engine == "transformers"


@pytest.mark.parametrize(
    ("architecture", "installed"),
    [("Blip2ForImageTextRetrieval", BOTH), ("LlavaForConditionalGeneration", ONLY_TRANSFORMERS)],
)
def test_an_engine_that_cannot_is_refused(
    make_checkpoint: MakeCheckpoint, architecture: str, installed: tuple[Engine, ...]
) -> None:
    config = config_for(make_checkpoint(architecture=architecture), engine="vllm")
    with pytest.raises(InputError, match=r"asked for vllm.*change the engine"):
        resolve_variants(config, installed)


def test_a_variants_own_engine_overrides_the_servers(make_checkpoint: MakeCheckpoint) -> None:
    variant = {"name": "a", "directory": make_checkpoint(), "engine": "transformers"}
    config = ServerConfig.model_validate({"variants": [variant], "engine": "vllm"})
    assert resolve_variants(config, BOTH)[0].engine == "transformers"


def test_a_url_needs_no_engine() -> None:
    config = ServerConfig.model_validate({"variants": [{"name": "a", "url": "http://10.0.0.1:8000"}]})
    variant = resolve_variants(config, ())[0]
    assert (variant.engine, variant.url) == (None, "http://10.0.0.1:8000")


def test_a_manifest_says_which_engines_load_it(make_variant: MakeCheckpoint) -> None:
    config = config_for(make_variant(engines=("transformers",)))
    variant = resolve_variants(config, BOTH)[0]
    assert (variant.engine, variant.plan, variant.bpw) == ("transformers", "plan-4", 4.25)


def test_bytes_in_memory_are_predicted_by_the_manifest_or_the_files(
    make_checkpoint: MakeCheckpoint, make_variant: MakeCheckpoint
) -> None:
    base = resolve_variants(config_for(make_checkpoint()), BOTH)[0]
    assert base.predicted == {"language": 4}
    directory = make_variant()
    path = directory / "variant.json"
    document = json.loads(path.read_text())
    part = {**document["total"], "resident_bytes": {"vllm": 3, "transformers": 5}}
    path.write_text(json.dumps({**document, "components": {"vision": part}}))
    for engine, expected in (("vllm", 3), ("transformers", 5)):
        variant = resolve_variants(config_for(directory, engine=engine), BOTH)[0]
        assert variant.predicted == {"vision": expected}
