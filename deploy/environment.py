"""Make the environment that `make` runs everything in: a `.venv`, once.

Standard library only, because it runs before anything is installed. The engine is picked by the
machine: `gpu` where there is an NVIDIA GPU, else `cpu` (vLLM's CPU build, x86-64 Linux), else
`torch` (the transformers worker alone). All versions come from `constraints.txt`, whose sections
are closed sets; on `cpu` they are installed without dependency resolution, which leaves out 1 GB
that vLLM's CPU build names and never imports (triton, torchaudio, torchcodec).

    python3 deploy/environment.py [--directory .venv] [--engine gpu|cpu|torch] [--runtime]

`--runtime` leaves out tests, linters and types, for images.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
STAMP = "bitloom-environment"
ENGINES = {
    "gpu": "vLLM for NVIDIA GPUs",
    "cpu": "vLLM's CPU build",
    "torch": "the transformers worker alone (vLLM has no build for this machine)",
}


def main() -> int:
    """Create or refresh the environment; exit 0 when it is ready, 1 when an install failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, default=ROOT / ".venv")
    parser.add_argument("--engine", choices=sorted(ENGINES))
    parser.add_argument("--runtime", action="store_true")
    arguments = parser.parse_args()
    engine = arguments.engine or pick_engine()
    stamp = fingerprint(engine) + (" runtime" if arguments.runtime else "")
    stamp_file = arguments.directory / STAMP
    if stamp_file.is_file() and stamp_file.read_text() == stamp:
        return 0
    say(f"making {arguments.directory} with {ENGINES[engine]}; this happens once and takes some minutes")
    started = time.monotonic()
    try:
        python = create(arguments.directory)
        install(python, engine, is_runtime=arguments.runtime)
        build_kernels(python)
    except (OSError, subprocess.CalledProcessError) as exc:
        say(f"failed: {exc}; mend the cause and run the same command again")
        if engine == "cpu":
            say("if pip found no torch `+cpu`: put PyTorch's CPU package index into PIP_EXTRA_INDEX_URL")
        return 1
    stamp_file.write_text(stamp)
    say(f"ready after {time.monotonic() - started:.0f} s")
    return 0


def pick_engine() -> str:
    """The engine this machine can run."""
    if shutil.which("nvidia-smi") and Path("/proc/driver/nvidia").exists():
        return "gpu"
    if platform.system() == "Linux" and platform.machine() == "x86_64":
        return "cpu"
    return "torch"


def fingerprint(engine: str) -> str:
    """What the environment depends on: when it changes, the environment is refreshed."""
    digest = hashlib.sha256(f"{engine} {sys.version_info[:2]}".encode())
    for path in (CONSTRAINTS, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def create(directory: Path) -> Path:
    """A virtual environment in `directory`; the path of its python."""
    if sys.version_info < (3, 11):
        raise OSError(f"Python {platform.python_version()} is too old; run this with Python 3.11 or newer")
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
    return python


def sections() -> dict[str, list[str]]:
    """Requirements of `constraints.txt` by section; a section starts with `# [name]`."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in CONSTRAINTS.read_text().splitlines():
        if line.startswith("# ["):
            name = line[3 : line.index("]")]
        elif line and not line.startswith("#"):
            found.setdefault(name, []).append(line)
    return found


def install(python: Path, engine: str, *, is_runtime: bool) -> None:
    """Install the pinned packages and the project itself, editable."""
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pinned = sections()
    if engine == "cpu":
        names = ("build", "core", "torch", "cpu", *(() if is_runtime else ("dev",)))
        wanted = [line for name in names for line in pinned[name]]
        wanted = [f"{line}+cpu" if line.startswith("torch==") else line for line in wanted]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
            requirements.write("\n".join(wanted))
            requirements.flush()
            say(f"installing {len(wanted)} pinned packages (about 2.5 GB)")
            subprocess.run([*pip, "--no-deps", "-r", requirements.name], check=True)
        project = [*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    else:
        subprocess.run([*pip, *pinned["build"]], check=True)
        extras = engine if is_runtime else f"{engine},dev"
        say(f"installing bitloom[{extras}] at the versions of {CONSTRAINTS.name}")
        target = f"{ROOT}[{extras}]"
        project = [*pip, "--no-build-isolation", "-c", str(CONSTRAINTS), "--editable", target]
    subprocess.run(project, check=True)


def build_kernels(python: Path) -> None:
    """Compile the CPU kernels now, not under the first worker; without a compiler, say what is lost."""
    say("compiling the CPU kernels")
    code = "from server.workers.kernels.build import library_path; library_path()"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:]
        say(f"no kernels, so weights will be unpacked while loading: {' '.join(reason)}")


def say(message: str) -> None:
    """A progress line on standard error."""
    sys.stderr.write(f"environment: {message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
