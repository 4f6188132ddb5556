"""A results directory: who may write into it, and what an earlier part of the same run left there."""

from __future__ import annotations

from pathlib import Path

from bitloom.errors import InputError
from bitloom.files import write_atomic
from bitloom.results import PLAN_NAME, RUN_NAME, SAMPLES_NAME, RunManifest, RunPlan


def prepare_directory(out: Path, plan: RunPlan) -> None:
    """Make `out` the directory of this plan, or check that it already is.

    Raises InputError where it holds something else, naming the settings that differ.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a directory as --out")
    out.mkdir(parents=True, exist_ok=True)
    path = out / PLAN_NAME
    if not path.exists():
        if any(out.iterdir()):
            raise InputError(f"{out}: holds other files and no {PLAN_NAME}; give a new directory as --out")
        write_atomic(path, plan.model_dump_json(indent=2) + "\n")
        return
    earlier = RunPlan.read(path)
    if differing := [name for name in RunPlan.model_fields if getattr(earlier, name) != getattr(plan, name)]:
        raise InputError(
            f"{out}: holds another run ({', '.join(differing)} differ); "
            "give a new directory as --out, or the settings of that run to resume it"
        )


def finished_run(out: Path) -> RunManifest | None:
    """The manifest of a run that ended, or None."""
    path = out / RUN_NAME
    return RunManifest.read(path) if path.exists() else None


def journal_path(out: Path) -> Path:
    """The journal of a results directory."""
    return out / SAMPLES_NAME
