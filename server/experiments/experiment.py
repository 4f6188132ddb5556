"""One experiment: takes in outcomes, judges its arms, and says how traffic divides. It knows no clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from server.experiments.arm_statistics import ArmStatistics
from server.experiments.assignment import ArmPlan
from server.experiments.config import RouteConfig
from server.experiments.guard import Breach, Window, find_breach
from server.experiments.outcome import Outcome
from server.experiments.standing import Standing, is_stage_over, openness

# Units whose arms are compared with the shares: the first that come. The rest need no memory.
MAX_UNITS = 50_000

Phases = dict[tuple[float, ...], list[int]]


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to an arm: `rollback`, `advance` or `resume`, why, and the figures."""

    variant: str
    kind: str
    reason: str
    detail: str


@dataclass(slots=True)
class Experiment:
    """`phases` are distinct units by arm, by the shares under which they were first seen."""

    route: RouteConfig
    standings: dict[str, Standing]
    arms: dict[str, ArmStatistics]
    phases: Phases = field(default_factory=dict)
    units: set[float] = field(default_factory=set)
    new_units: list[float] = field(default_factory=list)
    windows: dict[str, Window] = field(default_factory=dict)

    @classmethod
    def begin(cls, route: RouteConfig, now: float) -> Experiment:
        """An experiment without history; `now` is when its ramps begin."""
        variants = [arm.variant for arm in route.arms]
        return cls(
            route,
            {variant: Standing(entered_at=now) for variant in variants},
            {variant: ArmStatistics() for variant in variants},
            windows={variant: Window() for variant in variants},
        )

    def plan(self) -> ArmPlan:
        """How traffic divides now."""
        parts = {
            arm.variant: openness(arm, share, self.standings[arm.variant])
            for arm, share in zip(self.route.arms, self.route.shares, strict=True)
        }
        gone = frozenset(
            name
            for name, each in self.standings.items()
            if each.rolled_back_for is not None and name != self.route.control_arm
        )
        return ArmPlan.of(self.route, parts, gone)

    def record(self, outcome: Outcome, now: float) -> None:
        """Take in a request that counts for its arm; an arm that is gone by now is passed over."""
        variant = outcome.assignment.variant
        if not outcome.assignment.is_counted or variant not in self.arms:
            return
        self.arms[variant].add(outcome)
        self.windows[variant].add(now, outcome)
        if outcome.is_complete:
            standing = self.standings[variant]
            self.standings[variant] = replace(standing, stage_requests=standing.stage_requests + 1)
        self._count_unit(outcome)

    def judge(self, now: float) -> list[Change]:
        """Roll back the arms that pass a limit, advance those whose stage is over; `now` in Unix seconds."""
        changes = []
        for arm in self.route.arms:
            standing = self.standings[arm.variant]
            if arm.variant == self.route.control_arm or standing.rolled_back_for is not None:
                continue
            breach = self._breach(arm.variant, now)
            if breach is not None:
                changes.append(self.roll_back(arm.variant, breach, now))
            elif is_stage_over(arm, standing, now):
                self.standings[arm.variant] = Standing(stage=standing.stage + 1, entered_at=now)
                detail = f"stage {standing.stage} held with {standing.stage_requests} answers"
                changes.append(Change(arm.variant, "advance", "stage_over", detail))
        return changes

    def roll_back(self, variant: str, breach: Breach, now: float) -> Change:
        """Give an arm's traffic to control until `resume`."""
        self.standings[variant] = replace(
            self.standings[variant],
            rolled_back_for=breach.reason,
            rolled_back_at=now,
            detail=breach.detail,
        )
        return Change(variant, "rollback", breach.reason, breach.detail)

    def resume(self, variant: str, now: float) -> Change:
        """Give an arm its traffic back, from the first stage of its ramp and with an empty window."""
        self.standings[variant] = Standing(entered_at=now)
        self.windows[variant] = Window()
        return Change(variant, "resume", "operator", "")

    def continued(self, route: RouteConfig, now: float) -> Experiment:
        """The same experiment under another configuration: arms that stay keep what they did.

        Units are counted by arm in order, so the count begins anew where arms come, go or move.
        """
        fresh = Experiment.begin(route, now)
        kept = [variant for variant in fresh.arms if variant in self.arms]
        fresh.standings.update({variant: self.standings[variant] for variant in kept})
        fresh.arms.update({variant: self.arms[variant] for variant in kept})
        fresh.windows.update({variant: self.windows[variant] for variant in kept})
        if [arm.variant for arm in route.arms] == [arm.variant for arm in self.route.arms]:
            fresh.phases, fresh.units, fresh.new_units = self.phases, self.units, self.new_units
        return fresh

    def _breach(self, variant: str, now: float) -> Breach | None:
        guard = self.route.guardrails
        if guard is None:
            return None
        start = now - guard.window_s
        return find_breach(
            guard, self.windows[variant].since(start), self.windows[self.route.control_arm].since(start)
        )

    def _count_unit(self, outcome: Outcome) -> None:
        assignment = outcome.assignment
        if assignment.point in self.units or len(self.units) >= MAX_UNITS:
            return
        self.units.add(assignment.point)
        self.new_units.append(assignment.point)
        index = [arm.variant for arm in self.route.arms].index(assignment.variant)
        counts = self.phases.setdefault(assignment.shares, [0] * len(self.route.arms))
        if index < len(counts):
            counts[index] += 1
