"""Assignment: by weight, sticky, the same everywhere, and stable when weights move."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from server.app.routing import Router
from server.config import ServerConfig
from server.errors import BadRequest, UnknownModel
from server.experiments.assignment import draw_arm, unit_point
from server.experiments.config import RouteConfig

PINNED = ["b", "b", "a", "a", "b", "a", "a", "b"]
POINT = 0.36102794312021497
UNITS = [f"user-{i}" for i in range(10_000)]


def route(salt: str = "", **weights: float) -> RouteConfig:
    arms = [{"variant": name, "weight": weight} for name, weight in weights.items()]
    return RouteConfig.model_validate({"name": "r", "arms": arms, "salt": salt})


@pytest.mark.parametrize(("control", "treatment"), [(1, 1), (9, 1), (99, 1), (0.3, 0.7)])
def test_the_split_is_within_binomial_bounds(control: float, treatment: float) -> None:
    drawn = [draw_arm(route(a=control, b=treatment), unit) for unit in UNITS]
    share = treatment / (control + treatment)
    deviation = math.sqrt(len(UNITS) * share * (1 - share))
    assert abs(drawn.count("b") - len(UNITS) * share) < 4 * deviation


def test_assignments_are_pinned_for_ever() -> None:
    """These values are a promise to units that were assigned by earlier versions."""
    assert [draw_arm(route(a=1, b=1), f"user-{i}") for i in range(8)] == PINNED
    assert unit_point("salt", "r", "user-0") == pytest.approx(POINT, abs=0)


def test_a_ramp_moves_units_only_towards_the_treatment() -> None:
    before = {unit for unit in UNITS if draw_arm(route(a=99, b=1), unit) == "b"}
    after = {unit for unit in UNITS if draw_arm(route(a=90, b=10), unit) == "b"}
    assert before < after


def test_another_salt_or_route_deals_independently() -> None:
    one = [draw_arm(route(a=1, b=1), unit) for unit in UNITS]
    other = [draw_arm(route("new", a=1, b=1), unit) for unit in UNITS]
    same = sum(x == y for x, y in zip(one, other, strict=True))
    assert abs(same - len(UNITS) / 2) < 4 * math.sqrt(len(UNITS)) / 2


@settings(deadline=None)
@given(st.text(), st.lists(st.floats(0, 1e6), min_size=1, max_size=5).filter(lambda w: sum(w) > 0), st.text())
def test_every_unit_gets_an_arm_with_weight(unit: str, weights: list[float], salt: str) -> None:
    given_route = route(salt, **{f"v{i}": weight for i, weight in enumerate(weights)})
    arm = draw_arm(given_route, unit.encode(errors="replace").decode())
    assert weights[int(arm[1:])] > 0


def test_names() -> None:
    router = Router(["a", "b", "c"], [route(a=1, b=0)])
    assert router.routes == ("r", "a", "b", "c")
    assert router.assign("c", "u").headers() == [(b"x-bitloom-variant", b"c")]
    assigned = router.assign("r", "u")
    assert (assigned.route, assigned.variant, assigned.experiment) == ("r", "a", "r")
    assert router.assign("r", "u", pin="b").variant == "b"
    with pytest.raises(UnknownModel, match="r, a, b, c"):
        router.assign("d", "u")
    for model in ("r", "a"):
        with pytest.raises(BadRequest, match="no arm of this model"):
            router.assign(model, "u", pin="c")


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        ([{"name": "a", "arms": [{"variant": "a"}]}], "two variants or routes are called a"),
        ([{"name": "r", "arms": [{"variant": "z"}]}], "must be different variants"),
        ([{"name": "r", "arms": [{"variant": "a"}, {"variant": "a"}]}], "must be different variants"),
        ([{"name": "r", "arms": [{"variant": "a", "weight": 0}]}], "every weight is 0"),
        ([{"name": "r", "arms": [{"variant": "a", "weight": -1}]}], "greater than or equal to 0"),
        ([{"name": "r", "arms": []}], "at least 1"),
    ],
)
def test_faulty_routes(routes: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ServerConfig.model_validate({"variants": [{"name": "a", "url": "unix:/x"}], "routes": routes})
