"""URLs of endpoints, and cards of models."""

import pytest

from bitloom.errors import InputError
from eval_client.endpoint.card import ModelCard, normalise_endpoint


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_all_forms_of_an_endpoint_are_one(url: str) -> None:
    assert normalise_endpoint(url) == "http://h:1/v1"


@pytest.mark.parametrize("url", ["h:1", "ftp://h", "", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"expected one like http://127\.0\.0\.1:8000"):
        normalise_endpoint(url)


def test_a_card_names_the_base() -> None:
    assert "blip2" in ModelCard("m", {"root": "zoo/tiny-blip2", "max_model_len": 1}).base
