"""The breaker opens after failures in a row, and the first result after the pause decides."""

from __future__ import annotations

from server.supervisor.circuit import Circuit
from server.supervisor.config import CircuitConfig


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_failures_in_a_row_open_it() -> None:
    clock = Clock()
    told: list[bool] = []
    circuit = Circuit(CircuitConfig(failures=3, open_s=10), told.append, clock)
    for _ in range(2):
        circuit.failed()
    circuit.answered()
    for _ in range(2):
        circuit.failed()
    assert circuit.wait_s == 0
    circuit.failed()
    assert circuit.wait_s == 10
    clock.now = 4
    assert circuit.wait_s == 6
    assert told == [False, True]


def test_the_first_result_after_the_pause_decides() -> None:
    clock = Clock()
    told: list[bool] = []
    circuit = Circuit(CircuitConfig(failures=1, open_s=10), told.append, clock)
    circuit.failed()
    clock.now = 11
    assert circuit.wait_s == 0
    circuit.failed()
    assert circuit.wait_s == 10
    clock.now = 22
    circuit.answered()
    circuit.failed()
    assert told == [False, True, True, False, True]
