"""Where an arm stands: its stage of the ramp and whether it is rolled back. This outlives a restart."""

from __future__ import annotations

from dataclasses import dataclass

from server.experiments.config import ArmConfig


@dataclass(frozen=True, slots=True)
class Standing:
    """Times are Unix seconds. `stage` is the index into the ramp's shares, `stage_requests` answers since."""

    stage: int = 0
    entered_at: float = 0.0
    stage_requests: int = 0
    rolled_back_for: str | None = None
    rolled_back_at: float | None = None
    detail: str | None = None


def openness(arm: ArmConfig, share: float, standing: Standing) -> float:
    """Open part of an arm's `share` of the traffic, 0 to 1."""
    if arm.ramp is None or standing.stage >= len(arm.ramp.shares) or share == 0:
        return 1.0
    return min(1.0, arm.ramp.shares[standing.stage] / share)


def is_stage_over(arm: ArmConfig, standing: Standing, now: float) -> bool:
    """Whether the arm has held its stage long enough, and answered enough, for the next."""
    return (
        arm.ramp is not None
        and standing.stage < len(arm.ramp.shares)
        and standing.rolled_back_for is None
        and now - standing.entered_at >= arm.ramp.hold_s
        and standing.stage_requests >= arm.ramp.min_requests
    )
