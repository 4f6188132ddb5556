"""The vLLM worker: the engine's own OpenAI server on a Unix socket, started as fast as it can be.

vLLM's command starts three processes on a CPU, which all import torch and vLLM, and compiles its
sampler. Here the API process imports once and forks the engine core, which runs the model itself, and
nothing is compiled. A GPU keeps vLLM's defaults: there compilation pays.
"""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitloom.plan import COMPONENTS, Component
from server.workers.arguments import WorkerArguments, parse_arguments
from server.workers.kv_cache import CacheShape, cache_bytes
from server.workers.lifetime import die_with_gateway
from server.workers.memory import loaded_memory, publish, release_freed
from server.workers.vllm_memory import EXTENSION

if TYPE_CHECKING:
    from argparse import Namespace

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    # The routes that exchange weights in place. Whoever reaches them runs what he likes in the engine:
    # they are on a private socket, and the gateway passes no path on.
    "VLLM_SERVER_DEV_MODE": "1",
}
CPU_ENVIRONMENT = {
    "TORCH_COMPILE_DISABLE": "1",
    # Keeps the model in the engine-core process; the API server has that process all the same.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # 4-bit weights with 8-bit activations where the CPU has AMX: not what the plan asked for.
    "VLLM_CPU_INT4_W4A8": "0",
    # torch puts tensors of 2 MiB and more in huge pages: a product of one row reads weights 7% faster.
    "THP_MEM_ALLOC_ENABLE": "1",
}


def main() -> None:
    """Serve until SIGTERM."""
    arguments = parse_arguments()
    die_with_gateway()
    gc.disable()  # a million objects are made while importing, none is garbage: 15% of the start
    os.umask(0o077)
    has_gpu = Path("/proc/driver/nvidia").exists()
    for name, value in (ENVIRONMENT | ({} if has_gpu else CPU_ENVIRONMENT)).items():
        os.environ.setdefault(name, value)
    arguments.socket.unlink(missing_ok=True)
    import uvloop

    uvloop.run(serve(engine_namespace(arguments)))


def engine_flags(arguments: WorkerArguments, is_cpu: bool) -> list[str]:
    """Flags of vLLM's API server."""
    options = arguments.options
    flags = ["--model", str(arguments.model), "--served-model-name", arguments.name]
    flags += ["--uds", str(arguments.socket), "--dtype", options.dtype, "--seed", str(options.seed)]
    flags += ["--max-num-seqs", str(options.max_num_seqs)]
    flags += ["--limit-mm-per-prompt", json.dumps({"image": options.max_images})]
    flags += ["--generation-config", "vllm", "--disable-uvicorn-access-log"]
    # The gateway counts image tokens, which usage tells apart only with this.
    flags += ["--enable-prompt-tokens-details"]
    flags += ["--worker-extension-cls", EXTENSION]
    size = options.kv_cache_bytes
    if is_cpu:
        flags += ["--enforce-eager", "--skip-mm-profiling"]
        size = size or default_cache_bytes(arguments)
    if size is not None:
        flags += ["--kv-cache-memory-bytes", str(size)]
    if options.max_model_len is not None:
        flags += ["--max-model-len", str(options.max_model_len)]
    return flags


def default_cache_bytes(arguments: WorkerArguments) -> int:
    """Bytes of key-value cache that suit this model on this machine (see `kv_cache`)."""
    import psutil
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(arguments.model)
    text = config.get_text_config()
    heads = text.num_attention_heads
    dtype = str(config.dtype) if arguments.options.dtype == "auto" else arguments.options.dtype
    shape = CacheShape(
        layers=text.num_hidden_layers,
        heads=getattr(text, "num_key_value_heads", None) or heads,
        head_size=getattr(text, "head_dim", None) or text.hidden_size // heads,
        number_bytes=4 if dtype.endswith("float32") else 2,
    )
    length = arguments.options.max_model_len or text.max_position_embeddings
    return cache_bytes(shape, length, arguments.options.max_num_seqs, psutil.virtual_memory().total)


def engine_namespace(arguments: WorkerArguments) -> Namespace:
    """Arguments as vLLM's own command line would have parsed them."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.platforms import current_platform
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    flags = engine_flags(arguments, current_platform.is_cpu())
    namespace: Namespace = make_arg_parser(FlexibleArgumentParser()).parse_args(flags)
    validate_parsed_serve_args(namespace)
    return namespace


def import_model_class(model: str) -> None:
    """Import the checkpoint's model class here, on a CPU.

    vLLM would inspect it in a process of its own, so as not to initialise CUDA in this one, and import
    it again in the engine core.
    """
    from vllm.model_executor.models import ModelRegistry
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    config = json.loads((Path(model) / "config.json").read_text())
    for architecture in config.get("architectures") or ():
        if architecture in ModelRegistry.models:
            model_class = ModelRegistry.models[architecture].load_model_cls()
            ModelRegistry.register_model(architecture, model_class)


async def serve(namespace: Namespace) -> None:
    """Start the engine core, then answer on the socket until SIGTERM (after vLLM's `run_server`)."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.launchers.api_server.entry import (
        build_and_serve,
        build_async_engine_client_from_engine_args,
    )
    from vllm.entrypoints.launchers.launcher import setup_server
    from vllm.usage.usage_lib import UsageContext

    class ForkingEngineArgs(AsyncEngineArgs):  # type: ignore[misc]  # vLLM is untyped to mypy
        """The CPU platform asks for spawned engine cores, which import everything a second time."""

        def create_engine_config(self, *args: Any, **kwargs: Any) -> Any:
            config = super().create_engine_config(*args, **kwargs)
            gc.freeze()
            gc.enable()
            os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"
            return config

    import_model_class(namespace.model)
    address, listener = setup_server(namespace, reuse_port=False)
    engine_args = ForkingEngineArgs.from_cli_args(namespace)
    try:
        async with build_async_engine_client_from_engine_args(
            engine_args, usage_context=UsageContext.OPENAI_API_SERVER
        ) as engine:
            await publish_memory(engine)
            stopped = await build_and_serve(engine, address, listener, namespace)
        await stopped
    finally:
        listener.close()


async def publish_memory(engine: Any) -> None:
    """Add what the model takes in memory to the metrics of this process, which `/metrics` shows."""
    from vllm.v1.metrics.prometheus import get_prometheus_registry

    # Tensor-parallel workers hold a part each.
    parts: list[dict[Component, int]] = await engine.collective_rpc("bitloom_weight_bytes")
    weights = {name: sum(part.get(name, 0) for part in parts) for name in COMPONENTS}
    release_freed()
    publish(loaded_memory(weights), get_prometheus_registry())


if __name__ == "__main__":
    main()
