"""What the file says of a route: its arms, who is control, and the guards, ramp and shadow it runs under."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from bitloom.schema import Schema

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Ratio = Annotated[float, Field(gt=1, allow_inf_nan=False)]

# Shares are compared after a division of weights.
TOLERANCE = 1e-9


class RampConfig(Schema):
    """Shares of the route's traffic that an arm gets one after another, before its weight's own share.

    A stage ends after `hold_s` and `min_requests` answers of the arm, both without a breach.
    """

    shares: Annotated[tuple[Share, ...], Field(min_length=1)]
    hold_s: Seconds = 3600
    min_requests: Positive = 100

    @model_validator(mode="after")
    def _shares_rise(self) -> Self:
        if any(later <= earlier for earlier, later in zip(self.shares, self.shares[1:], strict=False)):
            raise ValueError(f"the shares of a ramp rise, as in [0.01, 0.1, 0.5]; not {list(self.shares)}")
        return self


class ArmConfig(Schema):
    """A variant under a route and its share of the traffic, relative to the other arms' weights."""

    variant: Name
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    ramp: RampConfig | None = None


class GuardrailConfig(Schema):
    """Limits on what an arm did in the last `window_s`; past one of them its weight moves to control.

    `error_rate` and `empty_rate` are shares of the arm's answers. `ttft_ratio` and `latency_ratio` compare
    the arm's `quantile` with control's. No judgement on fewer than `min_requests` answers (for a ratio: of
    each of the two), nor on a limit that is None.
    """

    error_rate: Annotated[float, Field(ge=0, lt=1)] | None = None
    empty_rate: Annotated[float, Field(ge=0, lt=1)] | None = None
    ttft_ratio: Ratio | None = None
    latency_ratio: Ratio | None = None
    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.5
    min_requests: Positive = 100
    window_s: Seconds = 300

    @model_validator(mode="after")
    def _guards_something(self) -> Self:
        if (self.error_rate, self.empty_rate, self.ttft_ratio, self.latency_ratio) == (None,) * 4:
            raise ValueError(
                "guardrails without a limit; give error_rate, empty_rate, ttft_ratio or latency_ratio"
            )
        return self


class ShadowConfig(Schema):
    """A variant that gets copies of a `share` of the answered requests; its answers reach nobody.

    At most `outstanding` copies exist at a time, further ones are dropped; each may take `timeout_s`.
    """

    variant: Name
    share: Share = 1.0
    outstanding: Positive = 4
    timeout_s: Seconds = 60


class RouteConfig(Schema):
    """A model name whose requests are divided among arms.

    Another `salt` deals all units anew and begins a new experiment; without one, the same unit always
    gets the same arm. `control` is the first arm where it is not named. With `fallback`, control answers
    for an arm whose worker is not up; that is counted for neither.
    """

    name: Name
    arms: Annotated[tuple[ArmConfig, ...], Field(min_length=1)]
    salt: Annotated[str, Field(max_length=200)] = ""
    control: Name | None = None
    guardrails: GuardrailConfig | None = None
    shadow: ShadowConfig | None = None
    fallback: bool = False

    @property
    def control_arm(self) -> str:
        """Variant that the other arms are compared with and rolled back to."""
        return self.control or self.arms[0].variant

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the traffic that each arm's weight stands for, in the order of the arms."""
        total = sum(arm.weight for arm in self.arms)
        return tuple(arm.weight / total for arm in self.arms)

    @property
    def needs_state(self) -> bool:
        """Whether something of this route must outlive a restart."""
        return self.guardrails is not None

    @model_validator(mode="after")
    def _some_arm_is_open(self) -> Self:
        if sum(arm.weight for arm in self.arms) <= 0:
            raise ValueError(f"route {self.name}: every weight is 0; give one arm a weight above 0")
        return self

    @model_validator(mode="after")
    def _control_is_an_arm(self) -> Self:
        variants = [arm.variant for arm in self.arms]
        if self.control_arm not in variants:
            raise ValueError(
                f"route {self.name}: control {self.control} is none of its arms; name one of "
                + ", ".join(variants)
            )
        return self

    @model_validator(mode="after")
    def _ramps_fit(self) -> Self:
        for arm, share in zip(self.arms, self.shares, strict=True):
            if arm.ramp is None:
                continue
            where = f"route {self.name}, arm {arm.variant}"
            if arm.variant == self.control_arm:
                raise ValueError(
                    f"{where}: control has no ramp, it gets what the others leave; remove the ramp"
                )
            if arm.ramp.shares[-1] > share + TOLERANCE:
                raise ValueError(
                    f"{where}: the ramp ends at {arm.ramp.shares[-1]:g}, over the {share:g} of its weight; "
                    "raise the weight or lower the ramp"
                )
            if self.guardrails is None:
                raise ValueError(f"{where}: a ramp needs guardrails on its route; give some")
        return self
