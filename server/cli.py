"""`bitloom serve`: one OpenAI-style endpoint over any number of variants."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bitloom.errors import InputError
from server.config import ServerConfig, VariantConfig
from server.logs import log_as_json, log_lean
from server.settings import resolve_config

logger = logging.getLogger(__name__)


@click.command(name="serve")
@click.argument("sources", nargs=-1, metavar="[NAME=]DIR...")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Server configuration, YAML.")
@click.option("--host", help="Address to listen on; 127.0.0.1 by default.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 8000 by default, 0 picks a free one.")
@click.option("--engine", type=click.Choice(["auto", "vllm", "transformers"]), help="Engine of all variants.")
@click.option("--keys-file", type=click.Path(path_type=Path), help="Accept these keys only; see `keys`.")
@click.option("--log-dir", type=click.Path(path_type=Path), help="Keep the workers' logs here.")
def command(sources: tuple[str, ...], config_file: Path | None, **flags: Any) -> None:
    """Serve variants (or base checkpoints) by their directories' names, or by NAME.

    Everything is checked before the first worker starts. The line with the URL appears when all
    variants answer; SIGHUP reads the configuration again, Ctrl-C or SIGTERM finishes the running
    requests and stops the workers.
    """
    serve = import_serve()
    if len(sources) == 1 and Path(sources[0]).suffix in {".yaml", ".yml"} and config_file is None:
        config_file, sources = Path(sources[0]), ()
    flags["variants"] = [_variant(source) for source in sources] or None

    def reread(loaded: Sequence[VariantConfig] = ()) -> ServerConfig:
        return resolve_config(config_file, os.environ, flags, loaded)

    config = reread()
    log_lean()
    if config.log_format == "json":
        log_as_json()
    logger.info("configuration: %s", config.model_dump_json())
    names = ", ".join(variant.name for variant in config.variants)
    console = Console(soft_wrap=True, highlight=False)
    serve(config, lambda url: console.print(f"bitloom: ready on {url}/v1 with {names}", markup=False), reread)


def import_serve() -> Callable[..., None]:
    """`server.serve.serve`. The web framework takes half a second to import; --help should not wait for it.

    What imports make stays for good: looking for garbage in it costs a seventh of the start now, and
    pauses later.
    """
    gc.disable()
    try:
        from server.serve import serve
    finally:
        gc.freeze()
        gc.enable()
    return serve


def _variant(source: str) -> dict[str, str]:
    name, separator, directory = source.partition("=")
    path = Path(directory if separator else source)
    if not path.is_dir():
        raise InputError(
            f"{source}: {path} is no directory; give the directory of a variant or of a checkpoint"
        )
    return {"name": name if separator else path.resolve().name, "directory": str(path)}
