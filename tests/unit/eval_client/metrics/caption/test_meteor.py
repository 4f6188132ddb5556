from __future__ import annotations

import pytest

from bitloom.errors import InputError
from eval_client.metrics.caption import CaptionScorer
from eval_client.metrics.caption.meteor import missing_for_meteor


def test_without_java_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="Java runtime: install one"):
        CaptionScorer({1: ["a dog"]}).meteor({1: "a dog"})


@pytest.mark.java
def test_a_perfect_caption_scores_one() -> None:
    missing = missing_for_meteor()
    if missing:
        pytest.skip(missing)
    corpus, per_image = CaptionScorer({1: ["a dog on a bed"]}).meteor({1: "a dog on a bed"})
    assert corpus == per_image[0] == pytest.approx(1.0)
