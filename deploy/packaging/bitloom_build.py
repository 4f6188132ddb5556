"""Build backend: setuptools, plus the torchvision shim at the top of the wheel.

The registry's torchvision is a CUDA build that does not import under a CPU torch. What mends that
must run in every interpreter of the environment (engines start children of their own), hence a
`.pth` file in site-packages. setuptools has no way to put one there that works for wheels and for
editable installs alike; PEP 517 hooks do: each wheel it builds, editable or not, gets two more files.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

SHIM = ("bitloom_torchvision.py", "bitloom_torchvision.pth")


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel with setuptools and add the shim; return its file name (PEP 517)."""
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    add_shim(Path(wheel_directory) / name)
    return str(name)


def build_editable(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the editable wheel with setuptools and add the shim; return its file name (PEP 660)."""
    name = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    add_shim(Path(wheel_directory) / name)
    return str(name)


def add_shim(wheel: Path) -> None:
    """Rewrite `wheel` with the shim's files at its top and in its RECORD."""
    here = Path(__file__).parent
    shim = {name: (here / name).read_bytes() for name in SHIM}
    rewritten = wheel.with_suffix(".new")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(rewritten, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                content += b"".join(record_line(name, data) for name, data in shim.items())
            new.writestr(entry, content)
        for name, data in shim.items():
            new.writestr(name, data)
    rewritten.replace(wheel)


def record_line(name: str, data: bytes) -> bytes:
    """The line of RECORD for a file: name, SHA-256 in URL-safe base64 without padding, size."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n".encode()
