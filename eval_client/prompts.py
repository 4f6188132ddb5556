"""Prompt templates per task and model family. They are data, and part of every result.

Sources: `llava` is LLaVA-1.5's evaluation (arXiv 2310.03744, table 9 of its appendix); `blip2` is LAVIS'
for OPT models; `paper` asks as arXiv 2601.15287 does: BLIP-2's prompts for captions, LLaVA-1.5's short
answer for questions; the matching question is VQAScore's (arXiv 2404.01291). `zoo` and `zoo-blip2` are
the prompts that the models of `zoo/` were trained with.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from bitloom.errors import InputError
from bitloom.schema import Schema

RetrievalMode = Literal["image_text_matching", "yes_probability", "caption_likelihood", "embeddings"]
Tokens = Annotated[int, Field(ge=1)]


class PromptSet(Schema):
    """What is asked, and how long and until where the answer may run.

    `question` holds `{question}`, `match` holds `{caption}`. `caption_cue` is the prompt whose answer's
    likelihood is measured in the mode `caption_likelihood`; `caption_lead` stands between the two, where no
    chat template puts anything there. `retrieval_modes`: the better one first.
    """

    name: str
    caption: str
    question: str
    match: str
    caption_cue: str
    caption_lead: str = ""
    caption_tokens: Tokens
    answer_tokens: Tokens
    stop: tuple[str, ...] = ()
    retrieval_modes: tuple[RetrievalMode, ...] = ("yes_probability", "caption_likelihood")

    @field_validator("question")
    @classmethod
    def _has_question(cls, template: str) -> str:
        return _with_field(template, "{question}")

    @field_validator("match")
    @classmethod
    def _has_caption(cls, template: str) -> str:
        return _with_field(template, "{caption}")

    def ask(self, question: str) -> str:
        """The prompt of a question."""
        return self.question.replace("{question}", question)

    def ask_match(self, caption: str) -> str:
        """The prompt that asks whether a caption fits the image."""
        return self.match.replace("{caption}", caption.strip().removesuffix("."))


def _with_field(template: str, name: str) -> str:
    if name not in template:
        raise ValueError(f"the template must hold {name}")
    return template


_MATCH = 'Does this figure show "{caption}"? Please answer yes or no.'

PRESETS: dict[str, PromptSet] = {
    "zoo": PromptSet(
        name="zoo",
        caption="describe the image.",
        question="{question}",
        match=_MATCH,
        caption_cue="describe the image.",
        caption_tokens=80,
        answer_tokens=8,
        retrieval_modes=("caption_likelihood", "yes_probability"),
    ),
    "zoo-blip2": PromptSet(
        name="zoo-blip2",
        caption="a photo of",
        question="Question: {question} Answer:",
        match=f"Question: {_MATCH} Answer:",
        caption_cue="a photo of",
        caption_lead=" ",
        caption_tokens=80,
        answer_tokens=8,
        retrieval_modes=("caption_likelihood", "yes_probability"),
    ),
    "llava": PromptSet(
        name="llava",
        caption="Provide a one-sentence caption for the provided image.",
        question="{question}\nAnswer the question using a single word or phrase.",
        match=_MATCH,
        caption_cue="Provide a one-sentence caption for the provided image.",
        caption_tokens=64,
        answer_tokens=16,
    ),
    "blip2": PromptSet(
        name="blip2",
        caption="a photo of",
        question="Question: {question} Answer:",
        match='Question: Does this figure show "{caption}"? Answer:',
        caption_cue="a photo of",
        caption_lead=" ",
        caption_tokens=30,
        answer_tokens=10,
        stop=("\n",),
        retrieval_modes=("caption_likelihood", "yes_probability"),
    ),
    "paper": PromptSet(
        name="paper",
        caption="a photo of",
        question="{question}\nAnswer the question using a single word or phrase.",
        match=_MATCH,
        caption_cue="a photo of",
        caption_tokens=30,
        answer_tokens=16,
    ),
}


def choose_prompts(name: str, *, model: str, base: str, dataset: str) -> PromptSet:
    """The preset of that name; `auto` goes by the data set, then by what the endpoint says of the model.

    Args:
        name: a preset, or `auto`.
        model: the model's name at the endpoint.
        base: its base checkpoint or family as the endpoint's model card gives it, or "".
        dataset: kind of the data set (`scenes`, `coco`, ...).

    Raises InputError for an unknown preset.
    """
    if name != "auto":
        if name not in PRESETS:
            raise InputError(f"prompts {name!r}: unknown; choose one of auto, {', '.join(PRESETS)}")
        return PRESETS[name]
    described = f"{model} {base}".lower()
    is_blip2 = "blip" in described
    if dataset == "scenes":
        return PRESETS["zoo-blip2" if is_blip2 else "zoo"]
    return PRESETS["blip2" if is_blip2 else "llava"]
