"""Packed exchanges are learned as if each stood alone after its image."""

import pytest
import torch

from zoo.train.llava import LlavaStudent
from zoo.train.packing import IGNORED, Exchange, Packer
from zoo.train.prompts import LLAVA_PROMPTS
from zoo.train.student import Student, View
from zoo.train.tokenizer import END_ID, IMAGE_ID, build_tokenizer

EXCHANGES = (
    Exchange("describe the image. ASSISTANT:", "a large red circle on the left."),
    Exchange("how many objects are there? ASSISTANT:", "one", 2.0),
    Exchange("where is the red circle? ASSISTANT:", "left", 2.0),
)


@pytest.fixture(scope="module")
def packer() -> Packer:
    return Packer(build_tokenizer(), LLAVA_PROMPTS, LlavaStudent.image_tokens)


def test_labels_are_the_answers_and_their_end(packer: Packer) -> None:
    packed = packer.pack([EXCHANGES])
    tokenizer = build_tokenizer()
    for number, exchange in enumerate(EXCHANGES, start=1):
        labels = packed.labels[0][packed.segments[0] == number]
        learned = labels[labels != IGNORED].tolist()
        assert learned[-1] == END_ID
        assert tokenizer.decode(learned, skip_special_tokens=True).strip() == exchange.answer
        assert set(packed.weights[0][packed.segments[0] == number].tolist()) == {exchange.weight}


def test_label_is_the_next_token(packer: Packer) -> None:
    packed = packer.pack([EXCHANGES])
    learned = packed.labels[0, :-1] != IGNORED
    assert torch.equal(packed.labels[0, :-1][learned], packed.tokens[0, 1:][learned])


def test_image_comes_first_and_rows_are_padded(packer: Packer) -> None:
    packed = packer.pack([EXCHANGES, EXCHANGES[:1]])
    assert (packed.tokens == IMAGE_ID).sum(1).tolist() == [64, 64]
    assert packed.tokens.shape[1] % 8 == 0
    assert (packed.segments[1] == -1).sum() > (packed.segments[0] == -1).sum()
    assert packed.labels[1][packed.segments[1] == -1].eq(IGNORED).all()


def test_what_does_not_fit_is_left_out(packer: Packer) -> None:
    whole = packer.pack([EXCHANGES])
    short = packer.pack([EXCHANGES], row_tokens=int((whole.segments[0] >= 0).sum()) - 1)
    assert whole.segments.max() == 3
    assert short.segments.max() == 2


@torch.no_grad()
def test_a_packed_exchange_scores_as_it_does_alone(packer: Packer) -> None:
    torch.manual_seed(0)
    student: Student = LlavaStudent()
    view = View(torch.randn(1, 64, 128), torch.randn(1, 128))
    packed = packer.pack([EXCHANGES])
    together = student.read(view, packed)
    for number, exchange in enumerate(EXCHANGES, start=1):
        lone = packer.pack([[exchange]])
        alone = student.read(view, lone)[0][lone.segments[0] == 1]
        assert torch.allclose(together[0][packed.segments[0] == number], alone, atol=1e-4)
