"""`python -m benchmarks [NAME ...]`: run benchmarks one after another into `docs/benchmarks.md`.

Each benchmark is a module of this package whose last line of output is one JSON object
`{"name", "figures", "bar", "holds"}`. A benchmark that fails is a row, not the end of the run.
"""

from __future__ import annotations

import json
import pkgutil
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import benchmarks

TARGET = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
VERDICTS = {True: "yes", False: "**no**", None: "not run"}
NOT_BENCHMARKS = {"__main__", "decode", "harness", "oneshot_peer", "shapes", "stub_endpoint"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one benchmark said of itself; `figures` is None where it printed no closing object, `holds` None
    where it could not run here."""

    name: str
    bar: str
    figures: dict[str, object] | None
    holds: bool | None
    seconds: float


def main() -> int:
    """Run the named benchmarks (default: all); exit 1 where a bar does not hold."""
    names = sys.argv[1:] or every_benchmark()
    outcomes = [run(name) for name in names]
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(page(outcomes), encoding="utf-8")
    return 1 if any(outcome.holds is False for outcome in outcomes) else 0


def every_benchmark() -> list[str]:
    """Names of this package's benchmarks."""
    modules = pkgutil.iter_modules(benchmarks.__path__)
    return sorted(module.name for module in modules if module.name not in NOT_BENCHMARKS)


def run(name: str) -> Outcome:
    """Run one benchmark, showing its output, and read its closing JSON object."""
    sys.stdout.write(f"== benchmarks.{name}\n")
    sys.stdout.flush()
    started = time.monotonic()
    last = ""
    with subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            last = line.strip() or last
    seconds = time.monotonic() - started
    try:
        closing = json.loads(last)
        figures, bar = dict(closing["figures"]), str(closing["bar"])
    except (ValueError, KeyError, TypeError):
        return Outcome(name, "no closing JSON object", None, False, seconds)
    holds = None if closing["holds"] is None else bool(closing["holds"])
    return Outcome(name, bar, figures, False if process.returncode else holds, seconds)


def page(outcomes: list[Outcome]) -> str:
    """The Markdown page: a table of bars, then every figure."""
    made = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}"
    lines = ["# Benchmarks", "", f"Made by `make bench` on {made}.", ""]
    lines += ["| benchmark | bar | holds | seconds |", "|---|---|---|---|"]
    lines += [
        f"| `python -m benchmarks.{outcome.name}` | {outcome.bar} | {VERDICTS[outcome.holds]} "
        f"| {outcome.seconds:.0f} |"
        for outcome in outcomes
    ]
    for outcome in outcomes:
        lines += ["", f"## {outcome.name}", ""]
        figures = outcome.figures or {"failed": outcome.bar}
        lines += [f"- {name}: {value}" for name, value in figures.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
