"""What every benchmark shares: the closing JSON object, and environments of their own for the peers."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CACHE_VARIABLE = "BITLOOM_BENCHMARK_CACHE"
DEFAULT_CACHE = Path(__file__).resolve().parent.parent / ".cache" / "benchmarks"

VERDICTS = {True: "holds", False: "DOES NOT HOLD", None: "not run"}


@dataclass(frozen=True, slots=True)
class Figures:
    """What a benchmark measured and whether that is enough; `bar` says what enough is.

    `holds` is None where nothing could be measured here.
    """

    name: str
    figures: Mapping[str, float | int | str]
    bar: str
    holds: bool | None

    def close(self) -> int:
        """Print the figures and, last, the JSON object; the exit code is 1 where the bar does not hold."""
        for name, value in self.figures.items():
            print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
        print(f"bar: {self.bar}: {VERDICTS[self.holds]}")
        closing = {"name": self.name, "figures": self.figures, "bar": self.bar, "holds": self.holds}
        print(json.dumps(closing), flush=True)
        return 1 if self.holds is False else 0


def peer_environment(
    name: str, requirements: Sequence[str], variables: Mapping[str, str] | None = None
) -> Path:
    """The Python of a virtual environment with the peer in it, made on the first call.

    It is kept under `.cache/benchmarks`, or where BITLOOM_BENCHMARK_CACHE says, by name and
    requirements; `variables` are set where a requirement is compiled. CalledProcessError where pip cannot
    install them; nothing half-made stays usable.
    """
    wanted = hashlib.sha256("\n".join(sorted(requirements)).encode()).hexdigest()[:12]
    home = peer_home(name)
    python, stamp = home / "bin" / "python", home / "requirements.sha256"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making an environment for {name}: {', '.join(requirements)}", flush=True)
    venv.EnvBuilder(with_pip=True, clear=True).create(home)
    command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", *requirements]
    subprocess.run(command, check=True, env={**os.environ, **(variables or {})})
    stamp.write_text(wanted, encoding="utf-8")
    return python


def peer_home(name: str) -> Path:
    """Where the peer's environment is, or would be."""
    return Path(os.environ.get(CACHE_VARIABLE, DEFAULT_CACHE)) / name


def run_isolated(module: str, *arguments: str) -> str:
    """Run a module in a fresh process of this Python, so that its memory and first call are its own.

    Returns the last line that it prints; CalledProcessError where it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip().split("\n")[-1]


def peak_rss() -> int:
    """The largest resident set of this process so far, in bytes.

    Not getrusage's: that one begins with what the parent held when it started this process.
    """
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024
