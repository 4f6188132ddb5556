"""Messages about files that do not fit their schema."""

from __future__ import annotations

import pytest

from bitloom.errors import InputError
from bitloom.schema import Schema


class Wheel(Schema):
    """A part of a cart."""

    spokes: int
    rim: str | None = None


class Cart(Schema):
    """Wheels at two depths: in a tuple, and by name."""

    wheels: tuple[Wheel, ...] = ()
    spare: dict[str, Wheel] | None = None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"wheels": [{"spokes": 1, "spoke": 2}]},
            "f: wheels.0.spoke: unknown key; did you mean 'spokes'? known here are rim, spokes",
        ),
        (
            {"spare": {"left": {"spokes": 1, "xyz": 2}}},
            "f: spare.left.xyz: unknown key; known here are rim, spokes",
        ),
        ({"weels": []}, "f: weels: unknown key; did you mean 'wheels'? known here are spare, wheels"),
    ],
)
def test_an_unknown_key_is_answered_with_the_known_ones(document: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Cart.parse(document, source="f")
    assert str(caught.value) == message


def test_a_wrong_value_is_shown_and_cut_when_it_is_long() -> None:
    with pytest.raises(InputError, match=r"^f: wheels\.0\.spokes: .* \(given: 'x{76}\.\.\.\)$"):
        Cart.parse({"wheels": [{"spokes": "x" * 500}]}, source="f")
