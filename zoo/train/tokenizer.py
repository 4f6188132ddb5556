"""The tokenizer of both models: byte-level BPE over captions, questions and answers of training scenes.

No text gets a begin-of-sequence token, so that a prompt has the same tokens whether the processor, a chat
template or an engine's completion endpoint made it.
"""

from collections.abc import Iterator
from typing import Any, Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import TokenizersBackend

from zoo.scenes import CAPTION_PROMPTS, scene

BEGIN, PAD, END, UNKNOWN, IMAGE = "<s>", "<pad>", "</s>", "<unk>", "<image>"
SPECIAL_TOKENS: Final = (BEGIN, PAD, END, UNKNOWN, IMAGE)
BEGIN_ID, PAD_ID, END_ID, UNKNOWN_ID, IMAGE_ID = range(len(SPECIAL_TOKENS))

VOCABULARY_SIZE: Final = 512
"""Rows of the embedding; the tokenizer uses at most as many (a multiple of 128 for the head's kernel)."""

_TEXT_SCENES = 1500


def build_tokenizer() -> Tokenizer:
    """Learn the merges; takes about a second and always gives the same tokenizer."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_text(), trainer)
    return tokenizer


def pretrained_tokenizer(tokenizer: Tokenizer, **options: Any) -> Any:
    """The tokenizer as transformers saves it; batches are padded on the left, for generation."""
    return TokenizersBackend(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        padding_side="left",
        **options,
    )


def _training_text() -> Iterator[str]:
    yield from (*CAPTION_PROMPTS, "a photo of")
    for index in range(_TEXT_SCENES):
        drawn = scene("train", index)
        yield from drawn.captions()
        for question in drawn.questions(with_match=True):
            yield f"USER: \n{question.text} ASSISTANT: {question.answer}"
            yield f"Question: {question.text} Answer: {question.answer}"
