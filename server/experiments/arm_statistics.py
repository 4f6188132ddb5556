"""What an arm has done since its experiment began, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.experiments.latency_sketch import LatencySketch
from server.experiments.moments import Moments
from server.experiments.outcome import Outcome


@dataclass(slots=True)
class ArmStatistics:
    """`errors` are 0 or 1 over answers and errors, `empty` over whole answers; times are of whole answers.

    Requests that the client took back (`aborted`) or that were the client's fault (`refused`) are counted
    and judged no further.
    """

    requests: int = 0
    aborted: int = 0
    refused: int = 0
    errors: Moments = field(default_factory=Moments)
    empty: Moments = field(default_factory=Moments)
    ttft: LatencySketch = field(default_factory=LatencySketch)
    latency: LatencySketch = field(default_factory=LatencySketch)
    prompt_tokens: int = 0
    generated_tokens: int = 0

    def add(self, outcome: Outcome) -> None:
        """Take in one request of this arm."""
        self.requests += 1
        if outcome.is_aborted:
            self.aborted += 1
            return
        if not outcome.is_complete and not outcome.is_error:
            self.refused += 1
            return
        self.errors.add(float(outcome.is_error))
        if outcome.is_error:
            return
        self.empty.add(float(outcome.is_empty))
        self.latency.add(outcome.latency_s)
        if outcome.ttft_s is not None:
            self.ttft.add(outcome.ttft_s)
        self.prompt_tokens += outcome.prompt_tokens or 0
        self.generated_tokens += outcome.generated_tokens or 0
