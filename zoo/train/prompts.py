"""How each family is asked: the text around a question, and the chat template that gives the same text."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from zoo.scenes import CAPTION_PROMPTS

CAPTION: Final = None
"""Stands for "write a caption" where a question could stand."""

LLAVA_CHAT_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% if message['content'] is string %}{{ message['content'] + ' ' }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] + ' ' }}{% endfor %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
"""LLaVA-1.5's: `USER: <image>\\n{text} ASSISTANT:`."""

BLIP2_CHAT_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{% endif %}{% endfor %}"
)
"""BLIP-2 is no chat model: the text alone is the prompt; processor and engine put the image before it."""

_CHAT_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """Text before the image tokens, text after them, and the prompts of a caption or a question."""

    before_image: str
    after_image: str
    question: str
    captions: tuple[str, ...]
    takes_bare_text: bool

    def prompt(self, question: str | None, rng: np.random.Generator | None = None) -> str:
        """The prompt of a question, or of a caption where it is None.

        With `rng` the wording varies as in training: other caption prompts, and for a family that is not
        a chat model now and then the bare text, so that it also answers clients that send nothing else.
        """
        if rng is None:
            return self.captions[0] if question is CAPTION else self.question.format(question)
        is_bare = self.takes_bare_text and rng.random() < _CHAT_SHARE
        if question is not CAPTION:
            return question if is_bare else self.question.format(question)
        choices = CAPTION_PROMPTS if is_bare else self.captions
        return choices[int(rng.integers(len(choices)))]


LLAVA_PROMPTS: Final = PromptFormat(
    before_image="USER: ",
    after_image="\n",
    question="{} ASSISTANT:",
    captions=tuple(f"{prompt} ASSISTANT:" for prompt in CAPTION_PROMPTS),
    takes_bare_text=False,
)
BLIP2_PROMPTS: Final = PromptFormat(
    before_image="",
    after_image="",
    question="Question: {} Answer:",
    captions=("a photo of",),
    takes_bare_text=True,
)
