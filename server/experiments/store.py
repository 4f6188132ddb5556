"""What a server keeps of its experiments and feedback, read and written in one file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from server.experiments.arm_statistics import ArmStatistics
from server.experiments.config import RouteConfig
from server.experiments.database import Database
from server.experiments.errors import StateError, UnknownRequest
from server.experiments.experiment import Change, Experiment, Phases
from server.experiments.moments import Moments
from server.experiments.outcome import Outcome
from server.experiments.standing import Standing

# Answers that can get feedback: the newest.
KEPT_REQUESTS = 1_000_000
_STANDING = TypeAdapter(Standing)
_STATISTICS = TypeAdapter(ArmStatistics)


@dataclass(frozen=True, slots=True)
class ArmRow:
    """An arm as it is written: plain text, made on the thread that owns the experiment."""

    variant: str
    standing: str
    statistics: str


@dataclass(frozen=True, slots=True)
class ExperimentRow:
    """A snapshot of an experiment; `units` are those since the last one."""

    name: str
    salt: str
    phases: str
    arms: tuple[ArmRow, ...]
    units: tuple[float, ...]

    @classmethod
    def of(cls, experiment: Experiment) -> ExperimentRow:
        """Snapshot as of now."""
        route = experiment.route
        arms = tuple(
            ArmRow(
                variant,
                _STANDING.dump_json(experiment.standings[variant]).decode(),
                _STATISTICS.dump_json(statistics).decode(),
            )
            for variant, statistics in experiment.arms.items()
        )
        order = [arm.variant for arm in route.arms]
        phases = json.dumps({"arms": order, "phases": list(experiment.phases.items())})
        return cls(route.name, route.salt, phases, arms, tuple(experiment.new_units))


@dataclass(frozen=True, slots=True)
class Target:
    """What a request's feedback is about; `salt` is None where it counts for no arm."""

    name: str
    variant: str
    salt: str | None


class Store:
    """Blocking; every method is one transaction and raises StateError where it fails."""

    def __init__(self, directory: Path) -> None:
        self._database = Database(directory)

    def load(self, route: RouteConfig, now: float) -> Experiment:
        """The experiment as it was left, or a new one; arms that are new begin now."""
        experiment = Experiment.begin(route, now)
        key = (route.name, route.salt)
        with self._database.transaction() as connection:
            arms = connection.execute(
                "SELECT variant, standing, statistics FROM arms WHERE name=? AND salt=?", key
            ).fetchall()
            row = connection.execute("SELECT phases FROM experiments WHERE name=? AND salt=?", key).fetchone()
            units = connection.execute("SELECT point FROM units WHERE name=? AND salt=?", key).fetchall()
        try:
            for variant, standing, statistics in arms:
                if variant in experiment.arms:
                    experiment.standings[variant] = _STANDING.validate_json(standing)
                    experiment.arms[variant] = _STATISTICS.validate_json(statistics)
            saved = json.loads(row[0]) if row is not None else {"arms": [], "phases": []}
            if saved["arms"] == [arm.variant for arm in route.arms]:
                phases: Phases = {tuple(shares): list(counts) for shares, counts in saved["phases"]}
                experiment.phases, experiment.units = phases, {unit[0] for unit in units}
        except (ValidationError, ValueError, LookupError, TypeError) as exc:
            raise StateError(
                f"{self._database.path}: what is kept of the experiment {route.name} cannot be read; restore "
                "a copy of the file, or give the route another salt to begin anew"
            ) from exc
        return experiment

    def save(
        self,
        experiments: Sequence[ExperimentRow],
        outcomes: Sequence[Outcome],
        changes: Sequence[tuple[ExperimentRow, float, Change]] = (),
    ) -> None:
        """Write snapshots, the requests behind them and the changes of arms, all or none."""
        with self._database.transaction() as connection:
            for row in experiments:
                _save_experiment(connection, row)
            salts = {row.name: row.salt for row in experiments}
            connection.executemany(
                "INSERT OR IGNORE INTO requests (id, name, salt, variant, key_id) VALUES (?, ?, ?, ?, ?)",
                [_request(outcome, salts) for outcome in outcomes],
            )
            connection.execute(
                "DELETE FROM requests WHERE number <= (SELECT max(number) FROM requests) - ?",
                (KEPT_REQUESTS,),
            )
            connection.executemany(
                "INSERT INTO changes (at, name, salt, variant, kind, reason, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (at, row.name, row.salt, each.variant, each.kind, each.reason, each.detail)
                    for row, at, each in changes
                ],
            )

    def add_feedback(
        self, request_id: str, score: float, comment: str | None, key_id: str | None, at: float
    ) -> Target:
        """Keep feedback, on the disk at the return; a second one for a request replaces the first.

        Raises UnknownRequest where no request of this key has the id.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT name, variant, salt FROM requests WHERE id=? AND key_id IS ?", (request_id, key_id)
            ).fetchone()
            if row is None:
                raise UnknownRequest(f"no request of yours has the id {request_id}")
            target = Target(*row)
            connection.execute(
                "INSERT INTO feedback (request_id, name, salt, variant, score, comment, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request_id)"
                " DO UPDATE SET score=excluded.score, comment=excluded.comment, at=excluded.at",
                (request_id, target.name, target.salt, target.variant, score, comment, at),
            )
        return target

    def feedback(self, name: str, salt: str) -> dict[str, Moments]:
        """Scores by arm, in the order in which the requests first got one."""
        moments: dict[str, Moments] = {}
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT variant, score FROM feedback WHERE name=? AND salt=? ORDER BY number", (name, salt)
            )
            for variant, score in rows:
                moments.setdefault(variant, Moments()).add(score)
        return moments

    def changes(self, name: str, salt: str, limit: int) -> list[tuple[float, Change]]:
        """The latest changes of an experiment's arms with their Unix times, newest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT at, variant, kind, reason, detail FROM changes WHERE name=? AND salt=?"
                " ORDER BY number DESC LIMIT ?",
                (name, salt, limit),
            ).fetchall()
        return [(row[0], Change(*row[1:])) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _save_experiment(connection: sqlite3.Connection, row: ExperimentRow) -> None:
    key = (row.name, row.salt)
    connection.execute("INSERT OR REPLACE INTO experiments VALUES (?, ?, ?)", (*key, row.phases))
    connection.executemany(
        "INSERT OR REPLACE INTO arms VALUES (?, ?, ?, ?, ?)",
        [(*key, arm.variant, arm.standing, arm.statistics) for arm in row.arms],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO units VALUES (?, ?, ?)", [(*key, unit) for unit in row.units]
    )


def _request(outcome: Outcome, salts: dict[str, str]) -> tuple[str, str, str | None, str, str | None]:
    assignment = outcome.assignment
    salt = salts.get(assignment.route) if assignment.is_counted else None
    return outcome.request_id, assignment.route, salt, assignment.variant, outcome.key_id
