"""From the model name of a request to the variant that answers it: variants' own names, and routes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from server.errors import BadRequest, UnknownModel
from server.experiments.assignment import (
    PINNED,
    ROLLED_BACK,
    UNAVAILABLE,
    ArmPlan,
    Assignment,
)
from server.experiments.config import RouteConfig


class Router:
    """Model names: every variant under its own name, and the configured routes.

    `variants` is looked at when a name is asked for, so it may change while the server runs.
    """

    def __init__(self, variants: Collection[str], routes: Sequence[RouteConfig] = ()) -> None:
        self._variants = variants
        self._plans: dict[str, ArmPlan] = {}
        self.begin(routes)

    def begin(self, routes: Sequence[RouteConfig]) -> None:
        """Route these model names in place of those before."""
        self._plans = {route.name: ArmPlan.of(route) for route in routes}

    @property
    def routes(self) -> tuple[str, ...]:
        """Model names that clients may ask for."""
        return (*self._plans, *self._variants)

    def plan(self, route: str) -> ArmPlan:
        """How a route's traffic divides now."""
        return self._plans[route]

    def apply(self, plan: ArmPlan) -> None:
        """Divide a route's traffic otherwise from the next request on."""
        self._plans[plan.route.name] = plan

    def fall_back(self, assignment: Assignment) -> Assignment | None:
        """Control in place of an arm that cannot answer, where the route allows it."""
        plan = self._plans.get(assignment.route)
        if plan is None or not plan.route.fallback or assignment.departure in (PINNED, ROLLED_BACK):
            return None
        control = plan.route.control_arm
        if assignment.variant == control:
            return None
        return replace(assignment, variant=control, departure=UNAVAILABLE)

    def check(self, model: str) -> str:
        """The name itself, if it can be asked for; raise UnknownModel with the names there are."""
        if model not in self.routes:
            raise UnknownModel(
                f"no such model; this server has: {', '.join(self.routes)}",
                code="model_not_found",
                param="model",
            )
        return model

    def assign(self, model: str, unit: str, pin: str | None = None) -> Assignment:
        """Assignment of `unit` under a model name; `pin` names the arm instead.

        Raises UnknownModel with the names there are, BadRequest for a pin that is no arm of the route.
        """
        if (plan := self._plans.get(model)) is not None:
            if pin is None:
                return plan.draw(unit)
            arms = [arm.variant for arm in plan.route.arms]
            if pin not in arms:
                raise _bad_pin(arms)
            return Assignment(model, pin, model, PINNED)
        self.check(model)
        if pin not in (None, model):
            raise _bad_pin([model])
        return Assignment(model, model)


def _bad_pin(arms: Sequence[str]) -> BadRequest:
    return BadRequest(
        f"the header x-bitloom-variant names no arm of this model; it has: {', '.join(arms)}",
        code="unknown_arm",
        param="x-bitloom-variant",
    )
