"""Margins as they are typed."""

import pytest

from bitloom.errors import InputError
from eval_client.compare.margins import Margins, parse_margins


def test_a_number_holds_everywhere_and_names_override_it() -> None:
    margins = parse_margins("0.01, CIDEr=0.05")
    assert margins == Margins(0.01, {"CIDEr": 0.05})
    assert margins.of("CIDEr", 3.0) == 0.05
    assert margins.of("Bleu_4", 1.0) == 0.01


def test_the_default_is_a_share_of_what_can_be_lost() -> None:
    assert parse_margins(None).of("vqa_accuracy", 1.0) == 0.02
    assert parse_margins(None).of("CIDEr", 5.0) == pytest.approx(0.1)


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "=0.1", "a=", "0.1,0.2", "a=b"])
def test_what_is_no_margin_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not understood; give a number above 0"):
        parse_margins(text)
