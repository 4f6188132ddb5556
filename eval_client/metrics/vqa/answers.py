"""How answers are made comparable: the normalization of the VQA evaluation (GT-Vision-Lab) and its copies.

All three variants share it, quirks included: a punctuation mark becomes nothing where it stands next to a
space (or any comma stands between digits) and a space elsewhere; at most 32 full stops are removed.
"""

from __future__ import annotations

import re
from functools import lru_cache

_MARKS = (*';/[]"{}()=+\\_-><@`,?!',)
_COMMA_BETWEEN_DIGITS = re.compile(r"\d,\d")
_COMMAS_BETWEEN_DIGITS = re.compile(r"(?<=\d),+(?=\d)")
_FULL_STOP = re.compile(r"\.(?!\d)")
# The reference passes the flag `re.UNICODE` where `re.sub` takes the number of replacements.
_MOST_FULL_STOPS = int(re.UNICODE)

_ARTICLES = frozenset(["a", "an", "the"])
_NUMBER_WORDS = "zero one two three four five six seven eight nine ten"
_NUMBERS = {"none": "0"} | {word: str(number) for number, word in enumerate(_NUMBER_WORDS.split(" "))}
# Contractions that are mended where one apostrophe is missing.
_CONTRACTIONS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd
he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've
needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've
somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll
that's there'd there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've
weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've
why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're
you've
"""


def _mended() -> dict[str, str]:
    """Each misspelling and what it stands for; the reference's one slip ("somebody'd") included."""
    words = {"somebody'd": "somebodyd"}
    for contraction in _CONTRACTIONS.split():
        places = [place for place, char in enumerate(contraction) if char == "'"]
        for place in places:
            words[contraction[:place] + contraction[place + 1 :]] = contraction
    return words


_MENDED = _mended()


def one_line(answer: str) -> str:
    """The answer on one line, without spaces around it."""
    return answer.replace("\n", " ").replace("\t", " ").strip()


def without_punctuation(answer: str, *, any_commas: bool = False) -> str:
    """The answer without punctuation; `any_commas` is lmms-eval's pattern for commas between digits."""
    pattern = _COMMAS_BETWEEN_DIGITS if any_commas else _COMMA_BETWEEN_DIGITS
    has_number = pattern.search(answer) is not None
    text = answer
    for mark in _MARKS:
        if mark in text:
            is_loose = has_number or f"{mark} " in answer or f" {mark}" in answer
            text = text.replace(mark, "" if is_loose else " ")
    return _FULL_STOP.sub("", text, count=_MOST_FULL_STOPS)


def plain_words(answer: str) -> str:
    """The answer in lower case, numbers up to ten as digits, articles dropped, contractions mended."""
    words = [_NUMBERS.get(word, word) for word in answer.lower().split()]
    return " ".join(_MENDED.get(word, word) for word in words if word not in _ARTICLES)


@lru_cache(maxsize=1 << 16)  # people answer "yes" often
def normalized(answer: str, *, any_commas: bool = False) -> str:
    """`plain_words` of `without_punctuation`, which is what most comparisons are of."""
    return plain_words(without_punctuation(answer, any_commas=any_commas))
