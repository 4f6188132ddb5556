"""From settings and an endpoint to what will be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bitloom.errors import EndpointError, InputError
from bitloom.results import RunPlan, SampleRecord, Task
from eval_client.config import RunConfig
from eval_client.datasets import Dataset, Shard, dataset_hash, load_dataset
from eval_client.endpoint import ChatClient, ModelCard
from eval_client.errors import RequestError
from eval_client.prompts import PromptSet, RetrievalMode, choose_prompts
from eval_client.tasks.embeddings import EMBEDDING, embedding_samples, shortlisted, similarities
from eval_client.tasks.pairs import probe_mode
from eval_client.tasks.prior import prior_samples
from eval_client.tasks.samples import Sample, caption_samples, question_samples, retrieval_samples

# Modes of models that may not be able to write.
SILENT_MODES = ("image_text_matching", "embeddings")


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """The plan as it is stored, its samples in the order in which they are asked, and what was left out.

    With a `shortlist`, `pairs` are all pairs there are, of which those are asked that `samples` let remain.
    """

    plan: RunPlan
    samples: tuple[Sample, ...]
    timed: tuple[Sample, ...]
    notes: tuple[str, ...]
    pairs: tuple[Sample, ...] = ()
    shortlist: int = 0

    def shortlisted(self, records: Mapping[str, SampleRecord]) -> list[Sample]:
        """The pairs to ask once the vectors that `samples` ask for are there; none without a shortlist."""
        own = [records[sample.sample_id] for sample in self.samples if sample.scorer == EMBEDDING]
        return shortlisted(self.pairs, similarities(own), self.shortlist) if self.shortlist else []


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
            reason = f"the endpoint can score no pairs ({reasons})"
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
    samples, pairs = _samples(config, dataset, prompts, mode)
    timed = tuple(_timed(config, dataset, prompts))
    if tasks == ["retrieval"] and mode in SILENT_MODES:
        timed = ()
        notes.append(f"latency not measured: retrieval by {mode} asks for no answers, whose chunks are timed")
    shortlist = config.shortlist if pairs else 0
    return PlannedRun(plan, tuple(samples), timed, tuple(notes), tuple(pairs), shortlist)


def _wanted_modes(config: RunConfig, prompts: PromptSet) -> tuple[RetrievalMode, ...]:
    """The mode that was asked for, else all, the better one first."""
    if config.retrieval_mode != "auto":
        return (config.retrieval_mode,)
    return ("image_text_matching", *prompts.retrieval_modes, "embeddings")


async def _probe(
    config: RunConfig, client: ChatClient, prompts: PromptSet, shard: Shard
) -> tuple[RetrievalMode | None, str]:
    """The retrieval mode; an endpoint that fails here is broken, or not ready yet."""
    try:
        mode, reasons = await probe_mode(client, config.model, _wanted_modes(config, prompts), prompts, shard)
        if mode is not None and config.shortlist and mode != "embeddings":
            vectors, why_not = await probe_mode(client, config.model, ("embeddings",), prompts, shard)
            if vectors is None:
                raise InputError(
                    f"shortlist {config.shortlist}: {config.model} gives no embeddings to make it from "
                    f"({why_not}); set BITLOOM_EVAL_SHORTLIST to 0"
                )
        return mode, reasons
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
        by_scorer = {"vqa": config.vqa_variant, "gqa": f"gqa:{config.gqa_variant}", "pope": "pope"}
        modes["vqa"] = by_scorer[dataset.scorer]
    if mode is not None:
        modes["retrieval"] = mode
        modes["retrieval_candidates"] = str(len(dataset.shards[0].captions))
        if config.shortlist and mode != "embeddings":
            modes["retrieval_shortlist"] = str(config.shortlist)
        if config.prior_weight and mode == "caption_likelihood":
            modes["retrieval_prior_weight"] = str(config.prior_weight)
    return modes


def _samples(
    config: RunConfig, dataset: Dataset, prompts: PromptSet, mode: RetrievalMode | None
) -> tuple[list[Sample], list[Sample]]:
    """What is asked at once, and pairs of which a shortlist lets only some be asked."""
    samples = caption_samples(dataset, prompts) + question_samples(dataset, prompts, config.gqa_variant)
    if mode is None:
        return samples, []
    if mode == "embeddings":
        return samples + list(embedding_samples(dataset)), []
    if mode == "caption_likelihood" and config.prior_weight:
        samples += prior_samples(dataset, prompts, config.prior_weight)
    pairs = list(retrieval_samples(dataset, prompts, mode))
    if config.shortlist:
        return samples + list(embedding_samples(dataset)), pairs
    return samples + pairs, []


def _timed(config: RunConfig, dataset: Dataset, prompts: PromptSet) -> list[Sample]:
    """What the timed passes ask: captions; questions where there are no captions; captions of any image."""
    if dataset.captions:
        return caption_samples(dataset, prompts)
    if dataset.questions:
        return question_samples(dataset, prompts, config.gqa_variant)
    return [
        Sample(image.image_id, "caption", image, prompts.caption, prompts.caption_tokens, prompts.stop)
        for image in dataset.images().values()
    ]
