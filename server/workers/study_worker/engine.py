"""vLLM in this process, whose weights are replaced in place, and which answers a fixed set of samples."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from vllm import LLM, RequestOutput, SamplingParams
from vllm.sampling_params import RequestOutputKind

from server.workers.study_worker.features import FeatureCache

MAX_NUM_SEQS = 256
CACHE_BYTES = 256 << 20
BLOCK_TOKENS = 32
"""Keys and values are shared block by block, so a block is no longer than the image's tokens."""


class LiveEngine:
    """The base checkpoint in vLLM; greedy answers to prepared requests under the weights of the moment."""

    def __init__(self, model: Path, dtype: str, max_model_len: int | None = None) -> None:
        self._engine = LLM(
            model=str(model),
            dtype=dtype,
            enforce_eager=True,
            kv_cache_memory_bytes=CACHE_BYTES,
            max_model_len=max_model_len,
            max_num_seqs=MAX_NUM_SEQS,
            limit_mm_per_prompt={"image": 1},
            skip_mm_profiling=True,
            # Samples about one image share the keys and values of its tokens, until the next swap.
            enable_prefix_caching=True,
            block_size=BLOCK_TOKENS,
            # Prompts are rendered once and asked many times: they hold their images themselves.
            mm_processor_cache_gb=0,
            generation_config="vllm",
            disable_log_stats=True,
        )
        self._shapes = self._read_shapes(model)
        self._features = self._engine.apply_model(_keep_features)[0]
        self._prompts: list[tuple[Any, SamplingParams]] = []

    def prepare(self, requests: Sequence[Mapping[str, Any]]) -> int:
        """Keep chat requests (OpenAI bodies) to be answered from now on; how many there are."""
        self._prompts = [(self._render(request), _sampling(request)) for request in requests]
        return len(self._prompts)

    def swap(self, path: Path) -> float:
        """Take on the tensors of a safetensors file (whole modules, fused siblings together); seconds.

        Raises ValueError for a tensor that the base has not, or of another shape: the engine would not
        survive it.
        """
        started = time.monotonic()
        tensors = load_file(path)
        for name, tensor in tensors.items():
            if self._shapes.get(name) != tuple(tensor.shape):
                raise ValueError(
                    f"{name} is {tuple(tensor.shape)}, the base's is {self._shapes.get(name)}; "
                    "a swap keeps the layout"
                )
        self._features.take_on(tensors)
        if tensors:
            weights = list(tensors.items())
            self._engine.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
        # The scheduler keeps a list of its own of the image features that the runner has just dropped.
        self._engine.llm_engine.reset_encoder_cache()
        # Keys and values of a prompt belong to the weights that made them.
        self._engine.reset_prefix_cache()
        return time.monotonic() - started

    @torch.inference_mode()
    def answer(self) -> list[dict[str, Any]]:
        """Answers to all requests, in their order: text, why it ended, log-probabilities asked for."""
        engine = self._engine.llm_engine
        for place, (prompt, sampling) in enumerate(self._prompts):
            engine.add_request(str(place), prompt, sampling)
        answers: list[dict[str, Any]] = [{}] * len(self._prompts)
        while engine.has_unfinished_requests():
            for output in engine.step():
                if output.finished:
                    answers[int(output.request_id)] = _answer(output)
        return answers

    def _render(self, request: Mapping[str, Any]) -> Any:
        """The prompt as the engine takes it: tokens, and the image's pixels."""
        is_continued = bool(request.get("continue_final_message"))
        return self._engine._preprocess_chat_one(
            request["messages"], add_generation_prompt=not is_continued, continue_final_message=is_continued
        )

    def _read_shapes(self, model: Path) -> dict[str, tuple[int, ...]]:
        from bitloom.tensors import index_tensors

        return {name: entry.shape for name, entry in index_tensors(model).items()}


def _keep_features(model: Any) -> FeatureCache:
    features = FeatureCache(model.embed_multimodal)
    model.embed_multimodal = features
    return features


def _sampling(request: Mapping[str, Any]) -> SamplingParams:
    return SamplingParams(
        temperature=0,
        max_tokens=request["max_tokens"],
        stop=request.get("stop"),
        logprobs=request.get("top_logprobs") if request.get("logprobs") else None,
        prompt_logprobs=request.get("prompt_logprobs"),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _answer(output: RequestOutput) -> dict[str, Any]:
    completion = output.outputs[0]
    found: dict[str, Any] = {"text": completion.text, "finish_reason": completion.finish_reason}
    if completion.logprobs:
        first = completion.logprobs[0]
        found["top_logprobs"] = [[each.decoded_token, each.logprob] for each in first.values()]
    if output.prompt_logprobs:
        tokens = output.prompt_token_ids
        places = zip(tokens, output.prompt_logprobs, strict=True)
        found["prompt_logprobs"] = [
            [places_of[token].decoded_token, places_of[token].logprob]
            for token, places_of in places
            if places_of
        ]
    return found
