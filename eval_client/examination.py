"""The same samples asked of many plans of one model, outside HTTP: requests once, then scores of answers.

Prompts, samples and scoring are those of a run; only the way to the engine differs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bitloom.errors import EndpointError
from bitloom.results import SampleRecord, SampleScore, Task
from eval_client.config import RunConfig
from eval_client.datasets import Limits, load_dataset
from eval_client.endpoint import ChatReply, TokenLogprob
from eval_client.estimates import KEPT, Estimate, Interval, kept_interval, mean_estimate, share_name, shares
from eval_client.prompts import choose_prompts
from eval_client.tasks.pairs import pair_score
from eval_client.tasks.samples import Sample, caption_samples, question_samples, retrieval_samples
from eval_client.tasks.score import score_records

HEADLINES: Mapping[Task, str] = {
    "caption": "CIDEr",
    "vqa": "vqa_accuracy",
    "retrieval": "text_to_image_R@1",
}
SHARD = 16
SAMPLES_PER_SHARD = 64


class Examination:
    """Samples of some tasks, their requests, and the scores of answers to them."""

    def __init__(self, samples: Sequence[Sample], model: str, seed: int = 0) -> None:
        self._samples = list(samples)
        self._seed = seed
        self._requests = [sample.request(model, sample.image.read()) for sample in self._samples]

    @property
    def score_names(self) -> tuple[str, ...]:
        """The headline score of each task, in the order of the tasks."""
        return tuple(HEADLINES[task] for task in dict.fromkeys(sample.task for sample in self._samples))

    @property
    def share_names(self) -> tuple[str, ...]:
        """What is kept of each headline score, and `kept`, the mean of these."""
        return (*map(share_name, self.score_names), KEPT)

    def requests(self) -> list[dict[str, Any]]:
        """The OpenAI bodies of all samples, in order."""
        return [json.loads(request.body(is_stream=False)) for request in self._requests]

    def judge(self, answers: Sequence[Mapping[str, Any]]) -> tuple[SampleScore, ...]:
        """Scores of each sample, from answers in the order of the requests. EndpointError where some lack."""
        if len(answers) != len(self._samples):
            raise EndpointError(
                f"{len(answers)} answers to {len(self._samples)} samples; the engine lost some"
            )
        triples = zip(self._samples, self._requests, answers, strict=True)
        records = [_record(sample, request, answer) for sample, request, answer in triples]
        variant = RunConfig.model_fields["vqa_variant"].default
        return score_records(records, variant, self._seed).per_sample

    def score(
        self, answers: Sequence[Mapping[str, Any]], base: Sequence[SampleScore] | None = None
    ) -> dict[str, Estimate]:
        """Headline scores, and beside the base's own also the shares that are kept of them.

        Raises EndpointError where answers are missing, InputError where the base scores nothing.
        """
        own = self.judge(answers)
        found = {name: mean_estimate(own, name) for name in self.score_names}
        return found if base is None else found | shares(own, base, self.score_names)

    def kept(
        self,
        own: Sequence[SampleScore],
        base: Sequence[SampleScore],
        other: Sequence[SampleScore] | None = None,
    ) -> Interval:
        """The mean share kept of the base's headline scores, less what `other` keeps. Raises InputError."""
        return kept_interval(own, base, self.score_names, other)


def open_examination(data: str, tasks: Sequence[Task], samples: int, model: str) -> Examination:
    """The first `samples` of each task of a data set, with the prompts for `model` (a checkpoint's name).

    Retrieval takes a shard of 16 images (256 pairs of one token each) for every 64 `samples`, rounded up.
    Raises DataError, InputError.
    """
    images = SHARD * -(-samples // SAMPLES_PER_SHARD)
    limits = Limits(
        captions=samples if "caption" in tasks else 0,
        questions=samples if "vqa" in tasks else 0,
        retrieval=images if "retrieval" in tasks else 0,
        shard=SHARD,
    )
    dataset = load_dataset(data, limits)
    prompts = choose_prompts("auto", model=model, base="", dataset=dataset.kind)
    chosen = caption_samples(dataset, prompts) + question_samples(dataset, prompts)
    return Examination([*chosen, *retrieval_samples(dataset, prompts, prompts.retrieval_modes[0])], model)


def _record(sample: Sample, request: Any, answer: Mapping[str, Any]) -> SampleRecord:
    score = None
    if sample.mode is not None and sample.candidate is not None:
        score = pair_score(sample.mode, _reply(answer), sample.candidate)
    return SampleRecord(
        sample_id=sample.sample_id,
        task=sample.task,
        image_id=sample.image.image_id,
        kind=sample.kind,
        caption_id=sample.candidate.caption_id if sample.candidate else None,
        references=sample.references,
        request_hash=request.hash,
        image_sha256=request.image.sha256,
        prompt=sample.prompt,
        state="answered",
        answer=answer["text"],
        score=score,
        error=None,
        finish_reason=answer["finish_reason"],
        usage=None,
        sent_at_s=0.0,
        chunk_times_s=(),
        end_s=None,
        retries=0,
    )


def _reply(answer: Mapping[str, Any]) -> ChatReply:
    def listed(name: str) -> tuple[TokenLogprob, ...] | None:
        found = answer.get(name)
        return None if found is None else tuple(TokenLogprob(*each) for each in found)

    return ChatReply(
        text=answer["text"],
        finish_reason=answer["finish_reason"],
        usage=None,
        sent_at_s=0.0,
        chunk_times_s=(),
        end_s=0.0,
        top_logprobs=listed("top_logprobs"),
        prompt_logprobs=listed("prompt_logprobs"),
    )
