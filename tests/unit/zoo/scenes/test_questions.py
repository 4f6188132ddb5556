"""Every answer is checked by an oracle that knows only the question's text and the scene's objects."""

import re
from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from zoo.scenes import QUESTION_KINDS, Scene, SceneObject, match_question, scene
from zoo.scenes.vocabulary import CELLS, COLORS, NUMBERS, SHAPES, SIZES

Objects = tuple[SceneObject, ...]
scenes = st.builds(scene, st.sampled_from(["train", "test"]), st.integers(0, 4999))

STANDS: dict[str, Callable[[SceneObject, SceneObject], bool]] = {
    "left of": lambda one, other: one.cell % 3 < other.cell % 3,
    "right of": lambda one, other: one.cell % 3 > other.cell % 3,
    "above": lambda one, other: one.cell // 3 < other.cell // 3,
    "below": lambda one, other: one.cell // 3 > other.cell // 3,
}


def the_one(objects: Objects, noun: str) -> SceneObject:
    """The only object of a shape, colour, or colour and shape."""
    (found,) = (each for each in objects if noun in (each.noun, each.shape, f"{each.color} object"))
    return found


def yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def oracle(scene_asked: Scene, text: str) -> str:
    """The answer to a question, from its text."""
    objects = scene_asked.objects
    rules: list[tuple[str, Callable[..., str]]] = [
        (
            r"what (color|shape) is the object (.+ of|above|below) the (\w+ \w+)\?",
            lambda *m: hop(objects, *m),
        ),
        (r"what color is the (\w+)\?", lambda noun: the_one(objects, noun).color),
        (r"what shape is the (\w+ object)\?", lambda noun: the_one(objects, noun).shape),
        (r"is the (\w+) small or large\?", lambda noun: the_one(objects, noun).size),
        (r"where is the (\w+ \w+)\?", lambda noun: CELLS[the_one(objects, noun).cell]),
        (r"is the (\w+ \w+) striped\?", lambda noun: yes(the_one(objects, noun).pattern == "striped")),
        (r"how many objects are there\?", lambda: NUMBERS[len(objects)]),
        (r"how many (\w+) objects are there\?", lambda color: number(objects, color)),
        (rf"how many ({'|'.join(SHAPES)})e?s are there\?", lambda shape: number(objects, shape)),
        (r"is there an? (\w+ \w+)\?", lambda noun: yes(any(each.noun == noun for each in objects))),
        (r"is the (\w+ \w+) (left of|right of|above|below) the (\w+ \w+)\?", lambda *m: stands(objects, *m)),
        (r"are the (\w+) and the (\w+) the same (color|size)\?", lambda *m: alike(objects, *m)),
    ]
    for pattern, answer in rules:
        if match := re.fullmatch(pattern, text):
            return answer(*match.groups())
    raise AssertionError(f"no rule for {text!r}")


def hop(objects: Objects, attribute: str, relation: str, noun: str) -> str:
    anchor = the_one(objects, noun)
    (target,) = (each for each in objects if each is not anchor and STANDS[relation](each, anchor))
    return str(getattr(target, attribute))


def number(objects: Objects, word: str) -> str:
    return NUMBERS[sum(word in (each.color, each.shape) for each in objects)]


def stands(objects: Objects, one: str, relation: str, other: str) -> str:
    return yes(STANDS[relation](the_one(objects, one), the_one(objects, other)))


def alike(objects: Objects, one: str, other: str, attribute: str) -> str:
    return yes(getattr(the_one(objects, one), attribute) == getattr(the_one(objects, other), attribute))


@given(scenes, st.integers(0, 1000))
def test_answers_are_right(drawn: Scene, draw: int) -> None:
    for question in drawn.questions(draw):
        assert question.answer == oracle(drawn, question.text), question


@given(scenes, st.integers(0, 1000))
def test_answers_are_short_and_from_the_vocabulary(drawn: Scene, draw: int) -> None:
    words = {*COLORS, *SHAPES, *SIZES, *CELLS, *NUMBERS, "yes", "no"}
    for question in drawn.questions(draw):
        assert question.answer in words
        assert question.answers == (question.answer,) * 10
        assert question.kind in QUESTION_KINDS


def test_every_kind_is_asked_and_yes_is_no_safe_guess() -> None:
    asked = [question for index in range(600) for question in scene("validation", index).questions()]
    assert {each.kind for each in asked} == set(QUESTION_KINDS)
    assert len(QUESTION_KINDS) >= 8
    for kind in ("existence", "relation"):
        answers = Counter(each.answer for each in asked if each.kind == kind)
        assert 0.4 < answers["yes"] / answers.total() < 0.6


def test_match_questions_are_asked_on_demand_and_right() -> None:
    answers: Counter[str] = Counter()
    for index in range(300):
        drawn = scene("validation", index)
        *usual, match = drawn.questions(with_match=True)
        assert tuple(usual) == drawn.questions()
        if match.kind == "match":
            caption = match.text.partition('"')[2].rpartition('"')[0]
            assert match.answer == yes(f"{caption}." in drawn.captions())
            answers[match.answer] += 1
    assert 0.4 < answers["yes"] / answers.total() < 0.6


def test_draws_ask_about_other_objects() -> None:
    drawn = scene("train", 4)
    assert {question.text for question in drawn.questions(0)} != {q.text for q in drawn.questions(1)}


def test_match_question_leaves_the_full_stop_out() -> None:
    assert match_question("a red ring at the top.") == (
        'Does this figure show "a red ring at the top"? Please answer yes or no.'
    )
