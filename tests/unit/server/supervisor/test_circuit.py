"""The breaker opens after failures in a row; after the pause one request goes, and its result decides."""

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


def test_after_the_pause_one_request_goes_at_a_time() -> None:
    clock = Clock()
    circuit = Circuit(CircuitConfig(failures=1, open_s=10), lambda _: None, clock)
    with circuit.trying() as first, circuit.trying() as second:
        assert first
        assert second
        circuit.failed()
    with circuit.trying() as refused:
        assert not refused
    clock.now = 11
    with circuit.trying() as probe:
        assert probe
        with circuit.trying() as other:
            assert not other
        assert circuit.wait_s == 10
        circuit.failed()
    assert circuit.wait_s == 10
    clock.now = 22
    with circuit.trying():
        circuit.answered()
    assert not circuit.is_open


def test_a_probe_that_shows_nothing_gives_way() -> None:
    clock = Clock()
    circuit = Circuit(CircuitConfig(failures=1, open_s=10), lambda _: None, clock)
    circuit.failed()
    clock.now = 11
    with circuit.trying():
        pass
    assert circuit.is_open
    with circuit.trying() as next_one:
        assert next_one
        clock.now = 22  # it hangs
        with circuit.trying() as another:
            assert another
