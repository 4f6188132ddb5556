"""From settings and an endpoint to what will be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bitloom.errors import EndpointError, InputError
from bitloom.results import RunPlan, Task
from eval_client.config import RunConfig
from eval_client.datasets import Dataset, Shard, dataset_hash, load_dataset
from eval_client.endpoint import ChatClient, ModelCard
from eval_client.errors import RequestError
from eval_client.prompts import PromptSet, RetrievalMode, choose_prompts
from eval_client.tasks.pairs import probe_mode
from eval_client.tasks.samples import Sample, caption_samples, question_samples, retrieval_samples


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """The plan as it is stored, its samples in the order in which they are asked, and what was left out."""

    plan: RunPlan
    samples: tuple[Sample, ...]
    timed: tuple[Sample, ...]
    notes: tuple[str, ...]


async def plan_run(config: RunConfig, card: ModelCard, client: ChatClient) -> PlannedRun:
    """Load the data, choose prompts and the retrieval mode, and list the samples.

    Tasks that the data set or the endpoint cannot do are left out with a note, or refused where they were
    asked for by name. Raises DataError, InputError, EndpointError.
    """
    dataset = await asyncio.to_thread(load_dataset, config.data, config.limits)
    prompts = choose_prompts(config.prompts, model=config.model, base=card.base, dataset=dataset.kind)
    tasks, notes = _possible_tasks(config, dataset)
    mode: RetrievalMode | None = None
    if "retrieval" in tasks:
        mode, reasons = await _probe(config, client, prompts, dataset.shards[0])
        if mode is None:
            reason = f"the endpoint gives no log-probabilities ({reasons})"
            notes.append(_left_out(config, "retrieval", reason))
            tasks.remove("retrieval")
    if not tasks:
        raise InputError(f"{config.data}: nothing to evaluate: {'; '.join(notes)}")
    dataset = _only(dataset, tasks)
    plan = RunPlan(
        model=config.model,
        model_card=card.fields,
        dataset=dataset.name,
        dataset_hash=await asyncio.to_thread(dataset_hash, dataset),
        tasks=tuple(tasks),
        limits=_limits(config),
        prompts=prompts.model_dump(mode="json"),
        modes=_modes(config, tasks, mode, dataset),
        seed=config.seed,
    )
    samples = _samples(dataset, prompts, mode)
    return PlannedRun(plan, tuple(samples), tuple(_timed(dataset, prompts)), tuple(notes))


async def _probe(
    config: RunConfig, client: ChatClient, prompts: PromptSet, shard: Shard
) -> tuple[RetrievalMode | None, str]:
    """The retrieval mode; an endpoint that fails here is broken, or not ready yet."""
    try:
        return await probe_mode(client, config.model, prompts, shard)
    except RequestError as exc:
        raise EndpointError(
            f"{config.endpoint}: the first request to {config.model} failed ({exc}); "
            "wait until the server is ready, or see its log"
        ) from exc


def _possible_tasks(config: RunConfig, dataset: Dataset) -> tuple[list[Task], list[str]]:
    has: dict[Task, bool] = {
        "caption": bool(dataset.captions),
        "vqa": bool(dataset.questions),
        "retrieval": bool(dataset.shards),
    }
    missing = [task for task in config.tasks if not has[task]]
    notes = [_left_out(config, task, f"{dataset.name} has nothing for it") for task in missing]
    return [task for task in config.tasks if has[task]], notes


def _left_out(config: RunConfig, task: Task, reason: str) -> str:
    """The note about a task that cannot be done; an error where it was asked for by name."""
    if config.is_explicit:
        raise EndpointError(f"task {task} cannot be done: {reason}; leave it out of --tasks")
    return f"{task} not evaluated: {reason}"


def _only(dataset: Dataset, tasks: Sequence[Task]) -> Dataset:
    """The data set without what no task uses, so that its hash is of what is used."""
    return replace(
        dataset,
        captions=dataset.captions if "caption" in tasks else (),
        questions=dataset.questions if "vqa" in tasks else (),
        shards=dataset.shards if "retrieval" in tasks else (),
    )


def _limits(config: RunConfig) -> dict[str, int]:
    return {
        "captions": config.captions,
        "questions": config.questions,
        "retrieval": config.retrieval,
        "shard": config.shard,
    }


def _modes(
    config: RunConfig, tasks: Sequence[Task], mode: RetrievalMode | None, dataset: Dataset
) -> dict[str, str]:
    modes: dict[str, str] = {}
    if "vqa" in tasks:
        modes["vqa"] = config.vqa_variant
    if mode is not None:
        modes["retrieval"] = mode
        modes["retrieval_candidates"] = str(len(dataset.shards[0].captions))
    return modes


def _samples(dataset: Dataset, prompts: PromptSet, mode: RetrievalMode | None) -> list[Sample]:
    samples = caption_samples(dataset, prompts) + question_samples(dataset, prompts)
    if mode is not None:
        samples += retrieval_samples(dataset, prompts, mode)
    return samples


def _timed(dataset: Dataset, prompts: PromptSet) -> list[Sample]:
    """What the timed passes ask: captions; questions where there are no captions; captions of any image."""
    if dataset.captions:
        return caption_samples(dataset, prompts)
    if dataset.questions:
        return question_samples(dataset, prompts)
    return [
        Sample(image.image_id, "caption", image, prompts.caption, prompts.caption_tokens, prompts.stop)
        for image in dataset.images().values()
    ]
