"""Environments of their own, under .cache/: `deploy-tools` (what checks the files here, the docs), `ray`, and
other projects' conformance suites, `langchain` and `schemathesis`.

    python deploy/tools.py [NAME...]

They do not share `.venv` because their pins are none of the product's. Tests that need one skip, saying so,
where it has not been made.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = {
    "deploy-tools": "deploy/tools.txt",
    "langchain": "tests/conformance/langchain.txt",
    "ray": "deploy/ray/requirements.txt",
    "schemathesis": "tests/conformance/schemathesis.txt",
}
STAMP = "requirements.sha256"


def main() -> int:
    """Make the named environments (default: all); exit 1 where an install failed."""
    names = sys.argv[1:] or sorted(REQUIREMENTS)
    unknown = sorted(set(names) - set(REQUIREMENTS))
    if unknown:
        sys.stderr.write(f"tools: no environment {', '.join(unknown)}; give {', '.join(REQUIREMENTS)}\n")
        return 2
    for name in names:
        try:
            make(name)
        except (OSError, subprocess.CalledProcessError) as exc:
            sys.stderr.write(f"tools: {name} failed: {exc}; mend the cause and run the same command again\n")
            return 1
    return 0


def make(name: str) -> None:
    """Make an environment, or bring it up to its requirements; CalledProcessError where pip fails."""
    home = ROOT / ".cache" / name
    if interpreter(name) is not None:
        return
    sys.stderr.write(f"tools: making {home} from {REQUIREMENTS[name]}\n")
    if not (home / "bin" / "python").exists():
        venv.EnvBuilder(with_pip=True).create(home)
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(ROOT / REQUIREMENTS[name])], check=True)
    (home / STAMP).write_text(_wanted(name), encoding="utf-8")


def interpreter(name: str) -> Path | None:
    """Python of an environment, None where it has not been made from the requirements as they are now."""
    home = ROOT / ".cache" / name
    stamp = home / STAMP
    is_current = stamp.is_file() and stamp.read_text(encoding="utf-8") == _wanted(name)
    return home / "bin" / "python" if is_current else None


def _wanted(name: str) -> str:
    return hashlib.sha256((ROOT / REQUIREMENTS[name]).read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
