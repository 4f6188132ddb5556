"""What a container starts: `bitloom serve`, after the checks whose failure a container makes hard to see.

    python -m deploy.start [ARGUMENTS OF bitloom serve]

Without arguments it serves /variants: its server.yaml, or else every variant in it. BITLOOM_IMAGE is the
image's target, BITLOOM_VARIANTS another folder. Exits 2 with the remedy where there is nothing to serve or
no GPU; after that `bitloom serve` takes over, in this very process, so that signals reach it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# The driver's folder, which the NVIDIA container runtime mounts with the devices.
DRIVER = Path("/proc/driver/nvidia")
CONFIG_NAME = "server.yaml"
WRONG_INPUT = 2


class CannotStartError(Exception):
    """The container was given something that cannot be served; the message has the remedy."""


def main() -> int:
    """Check, then become `bitloom serve`; returns only where that is not possible."""
    try:
        arguments = serve_arguments(sys.argv[1:], os.environ)
    except CannotStartError as exc:
        sys.stderr.write(f"bitloom: {exc}\n")
        return WRONG_INPUT
    command = [sys.executable, "-m", "bitloom", "serve", "--host", "0.0.0.0", *arguments]
    os.execv(command[0], command)


def serve_arguments(given: Sequence[str], environment: Mapping[str, str], driver: Path = DRIVER) -> list[str]:
    """Arguments for `bitloom serve`; raises CannotStartError."""
    if environment.get("BITLOOM_IMAGE") == "gpu" and not driver.exists():
        raise CannotStartError(
            "this image serves on an NVIDIA GPU and the container sees none; run it with `--gpus all` "
            "(in Kubernetes: gpus: 1 for the variant), or take the image of the target cpu"
        )
    folder = Path(environment.get("BITLOOM_VARIANTS", "/variants"))
    if not given:
        return _everything_in(folder)
    for argument in given:
        path = Path(argument.partition("=")[2] or argument)
        if path.is_relative_to(folder) and not path.exists():
            raise CannotStartError(f"{path}: not there; {folder} holds {_names(folder)}")
    return [*given]


def _everything_in(folder: Path) -> list[str]:
    config = folder / CONFIG_NAME
    if config.is_file():
        return [str(config)]
    found = sorted(path.parent for path in folder.glob("*/config.json"))
    if not found:
        raise CannotStartError(
            f"{folder} holds {_names(folder)}, no variant and no {CONFIG_NAME}; mount a folder of variants, "
            "as in `docker run -v $PWD/variants:/variants:ro`"
        )
    return [str(path) for path in found]


def _names(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return ", ".join(names) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
