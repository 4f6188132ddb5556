"""Scores of pairs from log-probabilities."""

import math

import pytest

from eval_client.datasets import Candidate
from eval_client.endpoint import ChatReply, TokenLogprob
from eval_client.errors import RequestError
from eval_client.tasks.pairs import mean_log_likelihood, pair_score, yes_log_odds

CANDIDATE = Candidate("i", 0, "A red dog.")


def tokens(*pairs: tuple[str, float]) -> tuple[TokenLogprob, ...]:
    return tuple(TokenLogprob(text, logprob) for text, logprob in pairs)


def test_log_odds_of_yes() -> None:
    assert yes_log_odds(tokens(("yes", -0.2), ("no", -1.7))) == pytest.approx(1.5)


def test_all_spellings_of_a_word_count() -> None:
    listed = tokens(("\u2581Yes", math.log(0.3)), (" yes", math.log(0.2)), ("No", math.log(0.1)))
    assert yes_log_odds(listed) == pytest.approx(math.log(0.5 / 0.1))


def test_a_word_that_is_not_listed_is_at_most_as_likely_as_the_last_listed() -> None:
    assert yes_log_odds(tokens(("yes", -0.1), ("maybe", -5.0))) == pytest.approx(4.9)
    assert yes_log_odds(tokens(("no", -0.1), ("maybe", -5.0))) == pytest.approx(-4.9)


def test_neither_word_is_no_evidence() -> None:
    assert yes_log_odds(tokens(("blue", -0.1), ("red", -3.0))) == 0.0


def test_a_yes_within_another_word_is_none() -> None:
    assert yes_log_odds(tokens(("yesterday", -0.1), ("no", -3.0), ("x", -6.0))) == -3.0


def test_the_likelihood_is_of_the_captions_tokens_only() -> None:
    prompt = tokens(
        ("describe", -9.0), ("\u2581a", -1.0), ("\u2581red", -2.0), ("\u2581do", -3.0), ("g.", -4.0)
    )
    assert mean_log_likelihood(prompt, "a red dog.") == pytest.approx(-2.5)


def test_a_character_may_be_spread_over_tokens() -> None:
    prompt = tokens(
        ("x", -9.0), ("\u0120a", -1.0), ("\u0120caf", -2.0), ("\ufffd", -3.0), ("\ufffd", -4.0), ("s", -5.0)
    )
    assert mean_log_likelihood(prompt, "a caf\u00e9s") == pytest.approx(-3.0)


def test_a_prompt_that_does_not_end_in_the_caption_is_a_failure() -> None:
    with pytest.raises(RequestError, match="the prompt ends in"):
        mean_log_likelihood(tokens(("a", -1.0), ("cat", -1.0), ("</s>", -1.0)), "a cat")


@pytest.mark.parametrize("mode", ["yes_probability", "caption_likelihood"])
def test_a_reply_without_log_probabilities_is_a_failure_that_stays(mode: str) -> None:
    reply = ChatReply("yes", "stop", None, 0.0, (), 1.0)
    with pytest.raises(RequestError) as failure:
        pair_score(mode, reply, CANDIDATE)  # type: ignore[arg-type]
    assert not failure.value.is_transient
