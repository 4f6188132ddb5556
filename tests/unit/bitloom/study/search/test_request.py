"""Budgets and floors as people write them."""

import pytest

from bitloom.errors import InputError
from bitloom.study.search.request import Budget, budget_in, parse_budget, parse_floor


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("4.5bpw", Budget(4.5, is_bpw=True)),
        ("5 bpw", Budget(5, is_bpw=True)),
        ("120000000", Budget(120_000_000, is_bpw=False)),
        ("114MiB", Budget(114 * 2**20, is_bpw=False)),
        ("1.5GB", Budget(1.5e9, is_bpw=False)),
    ],
)
def test_budgets_parse(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "four", "-4bpw", "0bpw", "4.5bits", "4..5bpw", "nan", "1e9"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="neither bits per weight"):
        parse_budget(text)


def test_a_budget_must_be_in_the_columns_unit() -> None:
    assert budget_in(Budget(4.5, is_bpw=True), "bpw_paper") == 4.5
    assert budget_in(Budget(100, is_bpw=False), "bytes") == 100
    with pytest.raises(InputError, match="in bpw, but the size column 'bytes'"):
        budget_in(Budget(4.5, is_bpw=True), "bytes")
    with pytest.raises(InputError, match="in bytes, but the size column 'bpw'"):
        budget_in(Budget(5, is_bpw=False), "bpw")


def test_floors_parse() -> None:
    assert parse_floor("cider=0.98", "CIDEr").share == 0.98
    assert parse_floor("score=1", "CIDEr").score == "CIDEr"


@pytest.mark.parametrize(
    "text", ["acc=0.98", "CIDEr", "CIDEr=", "CIDEr=0", "CIDEr=1.1", "CIDEr=x", "CIDEr=nan"]
)
def test_what_is_no_floor_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="CIDEr"):
        parse_floor(text, "CIDEr")
