"""Caption metrics against published figures, hand-made cases and a plain implementation of the formulas."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.errors import DataError
from eval_client.metrics.caption import CAPTION_METRICS, CaptionScorer, corpus_bleu
from eval_client.metrics.caption.ngrams import ranked
from eval_client.metrics.ptb_tokenizer import PtbTokenizer

REFERENCES = {
    "boat": ["a dog sitting on the inside of a white boat", "the dog is riding on the boat in the water"],
    "wall": ["a black dog on top of a wall", "black and white dog on a wall"],
    "cake": ["a cake with candles"],
}
CANDIDATES = {"boat": "a white boat", "wall": "black and white dog sitting on top of a wall", "cake": "a pie"}


def test_published_and_per_image_figures(conformance: Path) -> None:
    expected = json.loads(
        gzip.decompress((conformance / "expected/fakecap_pycocoevalcap12.json.gz").read_bytes())
    )
    items = json.loads((conformance / "caption/spice_example_input_larger.json").read_text())
    by_image = {item["image_id"]: item for item in items}
    ids = expected["image_ids"]
    scores = CaptionScorer({each: by_image[each]["refs"] for each in ids}).score(
        {each: by_image[each]["test"] for each in ids}
    )
    assert tuple(scores.corpus) == CAPTION_METRICS
    for name in CAPTION_METRICS:
        assert abs(scores.corpus[name] - expected["corpus"][name]) <= 1e-12
        assert round(scores.corpus[name], 3) == expected["published_tylin"][name]
        assert np.abs(scores.per_sample[name] - expected["per_image"][name]).max() <= 1e-12


def test_a_perfect_caption() -> None:
    scores = CaptionScorer({1: ["a red ball on grass"], 2: ["two cats"]}).score({1: "A red ball on grass."})
    assert scores.per_sample["CIDEr"][0] == pytest.approx(10.0)
    assert scores.per_sample["ROUGE_L"][0] == 1.0
    assert scores.corpus["Bleu_4"] == pytest.approx(1.0)


def test_rouge_takes_precision_and_recall_from_different_references() -> None:
    scorer = CaptionScorer({1: ["a b c d e f", "a"], 2: ["x"]})
    precision, recall = 1.0, 1.0  # "a b": both words in the first reference, all of the second
    assert scorer.score({1: "a b"}).per_sample["ROUGE_L"][0] == pytest.approx(
        2.44 * precision * recall / (recall + 1.44 * precision)
    )


def test_bleu_of_equally_near_references_takes_the_shorter() -> None:
    scores = CaptionScorer({1: ["a b c d e", "a b c"], 2: ["x"]}).score({1: "a b c d"})
    assert scores.bleu.reference_lengths.tolist() == [3]


def test_words_in_no_reference_count_against_the_candidate() -> None:
    scorer = CaptionScorer(REFERENCES)
    plain, padded = (
        scorer.score(CANDIDATES | {"cake": text}).per_sample["CIDEr"][2]
        for text in ("a cake with candles", "a cake with candles zzz")
    )
    assert 0 < padded < plain


def test_idf_stays_that_of_all_references_where_few_are_scored() -> None:
    scorer = CaptionScorer(REFERENCES)
    everything = scorer.score(CANDIDATES)
    one = scorer.score({"wall": CANDIDATES["wall"]})
    assert one.per_sample["CIDEr"][0] == everything.per_sample["CIDEr"][1]
    assert scorer.cider(CANDIDATES)[0] == everything.corpus["CIDEr"]


def test_empty_captions_are_scored_as_the_reference_does() -> None:
    scores = CaptionScorer({1: ["a dog"], 2: [""]}).score({1: "", 2: "..."})
    assert scores.per_sample["CIDEr"].tolist() == [0, 0]
    assert scores.per_sample["ROUGE_L"].tolist() == [0, 1]  # "" is one empty token, and equal


def test_bootstrap_weights_of_bleu_are_repetitions() -> None:
    scores = CaptionScorer(REFERENCES).score(CANDIDATES)
    twice = {
        ("boat", 0): REFERENCES["boat"],
        ("boat", 1): REFERENCES["boat"],
        ("wall", 0): REFERENCES["wall"],
    }
    repeated = CaptionScorer({str(key): value for key, value in twice.items()}).score(
        {str(key): CANDIDATES[key[0]] for key in twice}
    )
    assert corpus_bleu(scores.bleu, np.array([2, 1, 0])) == pytest.approx(list(repeated.corpus.values())[1:5])


@pytest.mark.parametrize(
    ("references", "candidates", "message"),
    [
        ({}, {"a": "b"}, "no reference captions"),
        ({"a": []}, {"a": "b"}, "image 'a' has no reference caption"),
        ({"a": ["b"]}, {}, "no captions to score"),
        ({"a": ["b"]}, {"c": "b"}, "images without references, first 'c'"),
    ],
)
def test_nothing_to_score_is_an_error(
    references: dict[str, list[str]], candidates: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        CaptionScorer(references).score(candidates)


_WORDS = st.lists(st.sampled_from(["a", "dog", "cat", "red", "on", "x"]), max_size=7).map(" ".join)
_CORPUS = st.lists(st.tuples(_WORDS, st.lists(_WORDS, min_size=1, max_size=3)), min_size=1, max_size=5)


_TOKENIZER = PtbTokenizer()  # one for all examples: building it is most of an example's time


@given(_CORPUS)
def test_equals_the_plain_formulas(corpus: list[tuple[str, list[str]]]) -> None:
    references = {row: refs for row, (_, refs) in enumerate(corpus)}
    scorer = CaptionScorer(references, _TOKENIZER)
    scores = scorer.score({row: text for row, (text, _) in enumerate(corpus)})
    cider = _plain_cider([(text, refs) for text, refs in corpus])
    assert scores.per_sample["CIDEr"] == pytest.approx(cider, abs=1e-12)
    assert scores.per_sample["ROUGE_L"] == pytest.approx([_plain_rouge(*each) for each in corpus], abs=1e-12)


def _grams(text: str, order: int) -> Counter[tuple[str, ...]]:
    words = text.split()
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))


def _plain_cider(corpus: Sequence[tuple[str, list[str]]]) -> list[float]:
    frequency = Counter(
        gram for _, refs in corpus for gram in {g for r in refs for n in range(1, 5) for g in _grams(r, n)}
    )

    def vector(text: str, order: int) -> dict[tuple[str, ...], float]:
        idf = math.log(len(corpus))
        return {g: c * (idf - math.log(max(1, frequency[g]))) for g, c in _grams(text, order).items()}

    def similarity(text: str, ref: str, order: int) -> float:
        one, other = vector(text, order), vector(ref, order)
        dot = sum(min(one[g], other[g]) * other[g] for g in one if g in other)
        norms = math.hypot(*one.values()) * math.hypot(*other.values())
        distance = sum(_grams(text, 2).values()) - sum(_grams(ref, 2).values())
        return (dot / norms if norms else dot) * math.exp(-(distance**2) / 72)

    return [
        10 * sum(similarity(text, ref, n) for ref in refs for n in range(1, 5)) / 4 / len(refs)
        for text, refs in corpus
    ]


def _plain_rouge(text: str, refs: list[str]) -> float:
    tokens = text.split(" ")
    common = [_common(tokens, ref.split(" ")) for ref in refs]
    precision = max(common) / len(tokens)
    recall = max(c / len(ref.split(" ")) for c, ref in zip(common, refs, strict=True))
    return 2.44 * precision * recall / (recall + 1.44 * precision) if precision and recall else 0.0


def _common(one: list[str], other: list[str]) -> int:
    row = [0] * (len(other) + 1)
    for token in one:
        before = row
        row = [0]
        for place, match in enumerate(other):
            row.append(before[place] + 1 if token == match else max(before[place + 1], row[place]))
    return row[-1]


@given(st.lists(st.integers(0, 2**50) | st.integers(0, 5), max_size=40))
def test_ranks_are_those_of_numpy(keys: list[int]) -> None:
    distinct, ranks = ranked(np.array(keys, np.int64))
    expected = np.unique(np.array(keys, np.int64), return_inverse=True)
    assert (distinct.tolist(), ranks.tolist()) == (expected[0].tolist(), expected[1].tolist())


def test_keys_too_wide_to_be_packed_are_ranked_all_the_same() -> None:
    distinct, ranks = ranked(np.array([2**62, 5, 2**62, 7], np.int64))
    assert (distinct.tolist(), ranks.tolist()) == ([5, 7, 2**62], [2, 0, 2, 1])
