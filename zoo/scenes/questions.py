"""Questions about a scene: ten kinds, each with one short right answer.

An object is only referred to by words that single it out (`the circle` where there is one circle).
"""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from zoo.scenes import captions
from zoo.scenes.objects import SceneObject, change_one_attribute
from zoo.scenes.vocabulary import CELLS, COLORS, NUMBERS, SHAPES, plural, row_and_column, with_article

ANSWERS_PER_QUESTION = 10
"""VQA data sets have ten human answers a question; here the ten agree."""

MATCH_PROMPT = 'Does this figure show "{caption}"? Please answer yes or no.'
"""Asks whether a caption fits; the wording of VQAScore (Lin et al., arXiv 2404.01291)."""

_TRIES = 20
_MATCH_STYLES = (0, 0, 3, 4)

Objects = tuple[SceneObject, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a kind, and its answer."""

    kind: str
    text: str
    answer: str

    @property
    def answers(self) -> tuple[str, ...]:
        """Ten equal answers, as the VQA accuracy wants them."""
        return (self.answer,) * ANSWERS_PER_QUESTION


def ask(objects: Objects, seed: tuple[int, int], with_match: bool = False) -> tuple[Question, ...]:
    """One question of every kind that can be asked about these objects (two of the kind `count`).

    `with_match` adds an eleventh kind, `match`: does a caption fit?
    """
    rng = np.random.default_rng(seed)
    asked = (question(objects, rng) for question in (*_QUESTIONS, *(_ask_match,) * with_match))
    return tuple(question for question in asked if question is not None)


def match_question(caption: str) -> str:
    """The text of a yes/no question: is this a caption of the image?"""
    return MATCH_PROMPT.format(caption=caption.removesuffix("."))


def _one_of(objects: list[SceneObject] | Objects, rng: np.random.Generator) -> SceneObject:
    return objects[int(rng.integers(len(objects)))]


def _singled_out(objects: Objects, words: Callable[[SceneObject], Hashable]) -> list[SceneObject]:
    count = Counter(words(each) for each in objects)
    return [each for each in objects if count[words(each)] == 1]


def _shape_of(each: SceneObject) -> str:
    return each.shape


def _color_of(each: SceneObject) -> str:
    return each.color


def _noun_of(each: SceneObject) -> str:
    return each.noun


def _yes_no(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _ask_color(objects: Objects, rng: np.random.Generator) -> Question | None:
    if not (candidates := _singled_out(objects, _shape_of)):
        return None
    each = _one_of(candidates, rng)
    return Question("color", f"what color is the {each.shape}?", each.color)


def _ask_size(objects: Objects, rng: np.random.Generator) -> Question | None:
    if not (candidates := _singled_out(objects, _shape_of)):
        return None
    each = _one_of(candidates, rng)
    return Question("size", f"is the {each.shape} small or large?", each.size)


def _ask_shape(objects: Objects, rng: np.random.Generator) -> Question | None:
    if not (candidates := _singled_out(objects, _color_of)):
        return None
    each = _one_of(candidates, rng)
    return Question("shape", f"what shape is the {each.color} object?", each.shape)


def _ask_location(objects: Objects, rng: np.random.Generator) -> Question | None:
    if not (candidates := _singled_out(objects, _noun_of)):
        return None
    each = _one_of(candidates, rng)
    return Question("location", f"where is the {each.noun}?", CELLS[each.cell])


def _ask_pattern(objects: Objects, rng: np.random.Generator) -> Question | None:
    if not (candidates := _singled_out(objects, _noun_of)):
        return None
    each = _one_of(candidates, rng)
    return Question("pattern", f"is the {each.noun} striped?", _yes_no(each.pattern == "striped"))


def _ask_total(objects: Objects, _rng: np.random.Generator) -> Question | None:
    return Question("count", "how many objects are there?", NUMBERS[len(objects)])


def _ask_count(objects: Objects, rng: np.random.Generator) -> Question | None:
    """How many of a colour or a shape: of one that is there three times in four."""
    words_of, words = (_color_of, COLORS) if rng.random() < 0.5 else (_shape_of, SHAPES)
    present = words_of(_one_of(objects, rng))
    word = present if rng.random() < 0.75 else words[int(rng.integers(len(words)))]
    things = f"{word} objects" if words is COLORS else plural(word)
    count = sum(words_of(each) == word for each in objects)
    return Question("count", f"how many {things} are there?", NUMBERS[count])


def _ask_existence(objects: Objects, rng: np.random.Generator) -> Question | None:
    """Is there such an object: half the time one that shares only its colour or its shape with one."""
    present = {each.noun for each in objects}
    if rng.random() < 0.5:
        return Question("existence", f"is there {with_article(_one_of(objects, rng).noun)}?", "yes")
    for _ in range(_TRIES):
        each = _one_of(objects, rng)
        if rng.random() < 0.5:
            noun = f"{each.color} {SHAPES[int(rng.integers(len(SHAPES)))]}"
        else:
            noun = f"{COLORS[int(rng.integers(len(COLORS)))]} {each.shape}"
        if noun not in present:
            return Question("existence", f"is there {with_article(noun)}?", "no")
    return None


def _relations(first: SceneObject, second: SceneObject) -> dict[str, bool]:
    """Every relation in which the two differ, and whether the first stands in it to the second."""
    row, column = row_and_column(first.cell)
    other_row, other_column = row_and_column(second.cell)
    relations: dict[str, bool] = {}
    if column != other_column:
        relations |= {"left of": column < other_column, "right of": column > other_column}
    if row != other_row:
        relations |= {"above": row < other_row, "below": row > other_row}
    return relations


def _ask_relation(objects: Objects, rng: np.random.Generator) -> Question | None:
    candidates = _singled_out(objects, _noun_of)
    if len(candidates) < 2:
        return None
    first, second = (candidates[int(i)] for i in rng.permutation(len(candidates))[:2])
    relations = list(_relations(first, second).items())
    words, holds = relations[int(rng.integers(len(relations)))]
    return Question("relation", f"is the {first.noun} {words} the {second.noun}?", _yes_no(holds))


def _ask_comparison(objects: Objects, rng: np.random.Generator) -> Question | None:
    candidates = _singled_out(objects, _shape_of)
    if len(candidates) < 2:
        return None
    first, second = (candidates[int(i)] for i in rng.permutation(len(candidates))[:2])
    attribute = "color" if rng.random() < 0.5 else "size"
    is_same = getattr(first, attribute) == getattr(second, attribute)
    text = f"are the {first.shape} and the {second.shape} the same {attribute}?"
    return Question("comparison", text, _yes_no(is_same))


def _ask_two_hop(objects: Objects, rng: np.random.Generator) -> Question | None:
    """Which object stands in a relation to another, where only one does."""
    hops: list[tuple[str, SceneObject, SceneObject]] = []
    for anchor in _singled_out(objects, _noun_of):
        others = [each for each in objects if each is not anchor]
        for words in ("left of", "right of", "above", "below"):
            found = [each for each in others if _relations(each, anchor).get(words)]
            if len(found) == 1:
                hops.append((words, found[0], anchor))
    if not hops:
        return None
    words, target, anchor = hops[int(rng.integers(len(hops)))]
    attribute = "color" if rng.random() < 0.5 else "shape"
    text = f"what {attribute} is the object {words} the {anchor.noun}?"
    return Question("two_hop", text, getattr(target, attribute))


def _ask_match(objects: Objects, rng: np.random.Generator) -> Question | None:
    """Does a caption fit: half the time one of a scene that differs in exactly one attribute."""
    style = int(rng.choice(_MATCH_STYLES))
    caption = captions.references(objects)[style]
    if rng.random() < 0.5:
        return Question("match", match_question(caption), "yes")
    for _ in range(_TRIES):
        other = captions.references(change_one_attribute(objects, rng))[style]
        if other != caption:
            return Question("match", match_question(other), "no")
    return None


_QUESTIONS = (
    _ask_color,
    _ask_size,
    _ask_shape,
    _ask_location,
    _ask_pattern,
    _ask_total,
    _ask_count,
    _ask_existence,
    _ask_relation,
    _ask_comparison,
    _ask_two_hop,
)

QUESTION_KINDS = (
    "color",
    "size",
    "shape",
    "location",
    "pattern",
    "count",
    "existence",
    "relation",
    "comparison",
    "two_hop",
)
"""Every kind of question, in the order in which they are asked."""
