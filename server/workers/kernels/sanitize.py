"""Every kernel under AddressSanitizer and UBSan: `python -m server.workers.kernels.sanitize`.

A program of its own (`checks/exercise.cpp`), because the sanitizers' runtime must be there before Python's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from server.workers.kernels.build import (
    FLAGS,
    HERE,
    SOURCES,
    UNITS,
    BuildError,
    compile_unit,
    find_compiler,
    libraries,
    run,
)

SANITIZERS = (
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)


def main() -> int:
    """Compile and run; exit 1 where the compiler, a comparison or a sanitizer complains."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "exercise"
        try:
            compiler = find_compiler()
            with ThreadPoolExecutor() as pool:
                units = pool.map(lambda unit: compile_unit(compiler, unit, Path(folder), SANITIZERS), UNITS)
                objects = [str(path) for path in units]
            source = str(HERE / "checks" / "exercise.cpp")
            include = f"-I{SOURCES}"
            command = [compiler, *FLAGS, *SANITIZERS, include, source, *objects, "-o", str(program)]
            run([*command, *libraries()])
        except BuildError as exc:
            sys.stderr.write(f"sanitize: {exc}\n")
            return 1
        return subprocess.run([program], check=False).returncode and 1


if __name__ == "__main__":
    sys.exit(main())
