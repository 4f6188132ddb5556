"""When a failed request is sent again."""

import pytest

from eval_client.errors import RequestError
from eval_client.run.ask import NO_RETRIES, RetryPolicy

POLICY = RetryPolicy(retries=3, backoff_s=1.0)


@pytest.mark.parametrize("attempt", [0, 1, 2])
def test_waits_double(attempt: int) -> None:
    wait_s = POLICY.wait_s(RequestError("refused", "x"), attempt)
    assert wait_s is not None
    assert 0.75 * 2**attempt <= wait_s <= 1.25 * 2**attempt


def test_it_gives_up_in_the_end() -> None:
    assert POLICY.wait_s(RequestError("http_5xx", "x"), 3) is None


def test_what_does_not_pass_is_not_tried_again() -> None:
    assert POLICY.wait_s(RequestError("http_4xx", "x", is_transient=False), 0) is None


def test_what_was_slow_to_fail_is_tried_once_more() -> None:
    assert POLICY.wait_s(RequestError("stalled", "x"), 0) is not None
    assert POLICY.wait_s(RequestError("stalled", "x"), 1) is None


def test_the_endpoints_wish_is_kept_within_reason() -> None:
    assert POLICY.wait_s(RequestError("http_5xx", "x", retry_after_s=7.0), 0) == 7.0
    assert POLICY.wait_s(RequestError("http_5xx", "x", retry_after_s=700.0), 0) == 30.0


def test_timing_never_tries_again() -> None:
    assert NO_RETRIES.wait_s(RequestError("refused", "x"), 0) is None
