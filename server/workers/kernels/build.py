"""Make the kernels' library with any C++17 compiler: once, into a cache folder; standard library only.

The file's name holds a hash of the sources, the flags and the machine, so that what is found fits what
would be built. It is looked for beside this package first (`python -m server.workers.kernels.build
DIRECTORY` puts one there, for images that have no compiler), then in the cache, then built.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES, PREBUILT = HERE / "csrc", HERE / "prebuilt"
CACHE_VARIABLE = "BITLOOM_KERNEL_CACHE"
COMPILERS = ("c++", "g++", "clang++")
COMPILE_TIMEOUT_S = 900  # a few seconds are usual; a machine may be very busy
# Contraction is off so that every instruction set rounds alike.
FLAGS: tuple[str, ...] = (
    *("-std=c++17", "-O2", "-ftree-vectorize", "-fvect-cost-model", "-fPIC", "-fvisibility=hidden"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"),
)
# The flags each unit is compiled with on x86-64; elsewhere its kernels are left out.
UNITS: dict[str, tuple[str, ...]] = {
    "interface": (),
    "threads": (),
    "portable": (),
    "avx2": ("-mavx2", "-mfma"),
    "avx512": ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni", "-mfma"),
}


class BuildError(Exception):
    """There is no compiler, or it failed; the message says which and why."""


def library_path() -> Path:
    """The library, built if need be; BuildError where it cannot be. Processes wait for one another."""
    name = f"bitloom-kernels-{fingerprint()}.so"
    cache = cache_directory()
    for directory in (PREBUILT, cache):
        if (directory / name).is_file():
            return directory / name
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (cache / name).is_file():
                build(cache / name)
    except OSError as exc:
        raise BuildError(f"{cache}: {exc}") from exc
    return cache / name


def cache_directory() -> Path:
    """Where libraries are kept: BITLOOM_KERNEL_CACHE, or below the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(chosen) if chosen else Path(root) / "bitloom" / "kernels"


def fingerprint() -> str:
    """Hash of all that decides what the library is, the compiler left out."""
    digest = hashlib.sha256(f"{FLAGS} {UNITS} {sys.platform} {platform.machine()}".encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def build(target: Path) -> None:
    """Compile every unit and link them to `target`, which appears whole or not at all."""
    compiler = find_compiler()
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        with ThreadPoolExecutor() as pool:
            objects = list(pool.map(lambda unit: compile_unit(compiler, unit, Path(folder)), UNITS))
        made = Path(folder) / "library.so"
        run([compiler, "-shared", *map(str, objects), "-o", str(made), *libraries()])
        os.replace(made, target)  # noqa: PTH105 - atomic, also over an existing file


def compile_unit(compiler: str, unit: str, folder: Path, extra: tuple[str, ...] = ()) -> Path:
    """Compile one unit; a compiler that lacks its instruction set leaves the unit's kernels out."""
    target = folder / f"{unit}.o"
    command = [compiler, *FLAGS, *extra, "-c", str(SOURCES / f"{unit}.cpp"), "-o", str(target)]
    wanted = UNITS[unit] if platform.machine().lower() in {"x86_64", "amd64"} else ()
    try:
        run([*command, *wanted])
    except BuildError:
        if not wanted:
            raise
        run(command)
    return target


def find_compiler() -> str:
    """The C++ compiler: CXX, or the first of the usual names."""
    for name in (os.environ.get("CXX"), *COMPILERS):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise BuildError(f"no C++ compiler ({', '.join(COMPILERS)}, or CXX)")


def libraries() -> tuple[str, ...]:
    """What the library is linked with."""
    return ("-lpthread", "-ldl") if sys.platform == "linux" else ("-lpthread",)


def run(command: list[str]) -> None:
    """Run a compiler; BuildError with the end of what it said where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise BuildError(f"{command[0]}: {exc}") from exc
    if done.returncode:
        raise BuildError(f"{command[0]} failed: {done.stderr.strip()[-500:]}")


def main(arguments: list[str]) -> int:
    """Put the library beside the package (or into a directory that is given); exit 1 where it fails."""
    directory = Path(arguments[0]) if arguments else PREBUILT
    directory.mkdir(parents=True, exist_ok=True)
    try:
        build(directory / f"bitloom-kernels-{fingerprint()}.so")
    except BuildError as exc:
        sys.stderr.write(f"kernels: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
