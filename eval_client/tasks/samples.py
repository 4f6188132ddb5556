"""What a run asks: one sample a request, from a data set, a prompt set and a retrieval mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bitloom.results import Task
from eval_client.datasets import Candidate, Dataset
from eval_client.datasets.model import Scorer
from eval_client.endpoint.chat import NO_OPTIONS, ChatRequest
from eval_client.endpoint.pooling import EmbeddingRequest, MatchRequest
from eval_client.images import EncodedImage, ImageSource
from eval_client.metrics.gqa import GqaVariant
from eval_client.prompts import PromptSet, RetrievalMode

TOP_LOGPROBS = 20
AnyRequest = ChatRequest | MatchRequest | EmbeddingRequest
_FIRST_TOKEN: Mapping[str, Any] = {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
_PROMPT_TOKENS: Mapping[str, Any] = {"prompt_logprobs": 0}
_OPTIONS: Mapping[RetrievalMode | None, Mapping[str, Any]] = {
    None: NO_OPTIONS,
    "yes_probability": _FIRST_TOKEN,
    "caption_likelihood": _PROMPT_TOKENS,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing to ask. `candidate` is the caption of a retrieval pair, `mode` how the pair is scored."""

    sample_id: str
    task: Task
    image: ImageSource
    prompt: str
    max_tokens: int
    stop: tuple[str, ...] = ()
    kind: str | None = None
    references: tuple[str, ...] = ()
    scorer: str | None = None
    candidate: Candidate | None = None
    mode: RetrievalMode | None = None
    assistant: str | None = None

    def request(self, model: str, image: EncodedImage) -> AnyRequest:
        """The request that asks it, with the image as read."""
        text = self.candidate.text if self.candidate else None
        if self.mode == "image_text_matching" and text is not None:
            return MatchRequest(model, image, text)
        if self.mode == "embeddings":
            return EmbeddingRequest(model, image, text)
        return ChatRequest(
            model=model,
            image=image,
            prompt=self.prompt,
            max_tokens=self.max_tokens,
            stop=self.stop,
            assistant=self.assistant,
            options=_OPTIONS[self.mode],
        )


def caption_samples(dataset: Dataset, prompts: PromptSet) -> list[Sample]:
    """One sample an image with reference captions."""
    return [
        Sample(
            sample_id=f"caption/{item.image.image_id}",
            task="caption",
            image=item.image,
            prompt=prompts.caption,
            max_tokens=prompts.caption_tokens,
            stop=prompts.stop,
            references=item.references,
        )
        for item in dataset.captions
    ]


def question_samples(dataset: Dataset, prompts: PromptSet, gqa_variant: GqaVariant = "llava") -> list[Sample]:
    """One sample a question; it names its scorer where that is not VQA accuracy."""
    scorers: dict[Scorer, str | None] = {"vqa": None, "gqa": f"gqa:{gqa_variant}", "pope": "pope"}
    return [
        Sample(
            sample_id=f"vqa/{item.question_id}",
            task="vqa",
            image=item.image,
            prompt=prompts.ask(item.question),
            max_tokens=prompts.answer_tokens,
            stop=prompts.stop,
            kind=item.kind,
            references=item.answers,
            scorer=scorers[dataset.scorer],
        )
        for item in dataset.questions
    ]


def retrieval_samples(dataset: Dataset, prompts: PromptSet, mode: RetrievalMode) -> Iterator[Sample]:
    """One sample a pair of an image and a caption of the same shard."""
    for shard in dataset.shards:
        for image in shard.images:
            for candidate in shard.captions:
                yield pair_sample(image, candidate, prompts, mode)


def pair_sample(image: ImageSource, candidate: Candidate, prompts: PromptSet, mode: RetrievalMode) -> Sample:
    """The sample that scores one pair in the given mode."""
    is_likelihood = mode == "caption_likelihood"
    return Sample(
        sample_id=f"retrieval/{image.image_id}/{candidate.caption_id}",
        task="retrieval",
        image=image,
        prompt=prompts.caption_cue if is_likelihood else prompts.ask_match(candidate.text),
        max_tokens=1,
        candidate=candidate,
        mode=mode,
        assistant=prompts.caption_lead + candidate.text if is_likelihood else None,
    )
