"""What is kept comes back as it was; what cannot be read is said, never begun anew."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from server.experiments.assignment import Assignment
from server.experiments.config import RouteConfig
from server.experiments.database import FILE, check_state
from server.experiments.errors import StateError, UnknownRequest
from server.experiments.experiment import Experiment
from server.experiments.guard import Breach
from server.experiments.outcome import Outcome
from server.experiments.store import ExperimentRow, Store

ROUTE = RouteConfig.model_validate({"name": "r", "arms": [{"variant": "a"}, {"variant": "b"}]})


def outcome(request_id: str, variant: str, point: float) -> Outcome:
    return Outcome(
        request_id=request_id, assignment=Assignment("r", variant, "r", point=point, shares=(0.5, 0.5)),
        key_id="k", started_at=0.0, code=200, finish_reason="stop", is_error=False, is_aborted=False,
        is_empty=False, is_stream=True, ttft_s=0.1, latency_s=0.2, prompt_tokens=3, generated_tokens=4,
    )  # fmt: skip


def filled(store: Store) -> Experiment:
    experiment = store.load(ROUTE, 1.0)
    outcomes = [outcome("1", "a", 0.1), outcome("2", "b", 0.9)]
    for each in outcomes:
        experiment.record(each, 2.0)
    change = experiment.roll_back("b", Breach("error_rate", "1 of 1"), 3.0)
    row = ExperimentRow.of(experiment)
    store.save([row], outcomes, [(row, 3.0, change)])
    return experiment


def test_everything_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    before = filled(store)
    store.close()
    store = Store(tmp_path)
    after = store.load(ROUTE, 99.0)
    assert (after.standings, after.arms, after.phases) == (before.standings, before.arms, before.phases)
    assert after.units == {0.1, 0.9}
    assert [(at, change.reason) for at, change in store.changes("r", "", 9)] == [(3.0, "error_rate")]
    store.close()


def test_another_salt_is_another_experiment(tmp_path: Path) -> None:
    store = Store(tmp_path)
    filled(store)
    fresh = store.load(ROUTE.model_copy(update={"salt": "new"}), 5.0)
    assert fresh.standings["b"].rolled_back_for is None
    assert fresh.arms["a"].requests == 0
    store.close()


def test_feedback_belongs_to_the_key_and_replaces(tmp_path: Path) -> None:
    store = Store(tmp_path)
    filled(store)
    with pytest.raises(UnknownRequest):
        store.add_feedback("1", 1.0, None, "other", 4.0)
    for score in (0.0, 1.0):
        assert store.add_feedback("1", score, "fine", "k", 4.0).variant == "a"
    moments = store.feedback("r", "")
    assert {name: (each.count, each.total) for name, each in moments.items()} == {"a": (1, 1.0)}
    store.close()


def test_a_commit_survives_a_kill(tmp_path: Path) -> None:
    """The files are copied while the writer still has them open, as a kill would leave them."""
    store = Store(tmp_path / "one")
    filled(store)
    other = tmp_path / "other"
    other.mkdir()
    for path in (tmp_path / "one").iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    copied = Store(other)
    assert copied.load(ROUTE, 9.0).standings["b"].rolled_back_for == "error_rate"
    copied.close()
    store.close()


def test_one_server_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StateError, match="another server keeps its state"):
        Store(tmp_path)
    store.close()
    check_state(tmp_path)
    Store(tmp_path).close()


def test_damage_and_other_versions_are_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StateError, match="version 99"):
        check_state(tmp_path)
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StateError, match="damaged"):
        check_state(tmp_path)


def test_what_cannot_be_understood_is_not_begun_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    experiment = filled(store)
    row = ExperimentRow.of(experiment)
    store.save([replace(row, arms=(replace(row.arms[0], standing="{"),))], [])
    with pytest.raises(StateError, match="cannot be read"):
        store.load(ROUTE, 9.0)
    store.close()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateError, match="give another state_dir"):
        check_state(tmp_path / "file" / "state")
