"""The shim that is installed beside the package: torchvision imports, and nothing else changes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

PACKAGING = Path(__file__).parents[4] / "deploy" / "packaging"


def run(code: str, *, isolated: bool = False) -> str:
    """Output of `code` in a fresh interpreter; with `isolated`, one without site-packages' .pth files."""
    flags = ["-S"] if isolated else []
    done = subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchvision_imports_in_a_fresh_interpreter() -> None:
    pytest.importorskip("importlib.metadata").version("torchvision")
    code = """
        import torchvision.transforms.v2, torch
        print(torch.ops.torchvision.nms)
    """
    assert run(code) == "torchvision.nms"


def test_the_start_of_an_interpreter_imports_no_torch() -> None:
    code = """
        import sys
        names = [type(finder).__name__ for finder in sys.meta_path]
        print("torch" in sys.modules, names.count("TorchvisionFinder"))
    """
    assert run(code) == "False 1"


def test_finding_torchvision_does_not_import_torch() -> None:
    code = """
        import importlib.util, sys
        print(importlib.util.find_spec("torchvision") is not None, "torch" in sys.modules)
    """
    assert run(code) == "True False"


@pytest.mark.parametrize(("cuda", "declared"), [("None", "['nms', 'qnms']"), ("'13.0'", "[]")])
def test_operators_are_declared_only_under_a_cpu_torch(tmp_path: Path, cuda: str, declared: str) -> None:
    code = f"""
        import sys, types
        sys.path.insert(0, {str(PACKAGING)!r})
        made = []
        class Library:
            def __init__(self, *_): pass
            def define(self, schema): made.append(schema.partition("(")[0])
        torch = types.ModuleType("torch")
        torch.version = types.SimpleNamespace(cuda={cuda})
        torch.ops = types.SimpleNamespace(torchvision=types.SimpleNamespace())
        torch.library = types.SimpleNamespace(Library=Library)
        sys.modules["torch"] = torch
        import bitloom_torchvision
        bitloom_torchvision.declare_operators({str(tmp_path)!r})
        print(made)
    """
    assert run(code, isolated=True) == declared


def test_the_wheel_gets_the_shim_and_records_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PACKAGING)
    import bitloom_build  # type: ignore[import-not-found, unused-ignore]

    wheel = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("x/__init__.py", "")
        archive.writestr("x-1.dist-info/RECORD", "x/__init__.py,,0\n")
    bitloom_build.add_shim(wheel)
    with zipfile.ZipFile(wheel) as archive:
        record = archive.read("x-1.dist-info/RECORD").decode().splitlines()
        assert archive.read("bitloom_torchvision.pth").startswith(b"import bitloom_torchvision;")
        sizes = {name: archive.getinfo(name).file_size for name in bitloom_build.SHIM}
    assert record[0] == "x/__init__.py,,0"
    for line in record[1:]:
        name, digest, size = line.split(",")
        assert digest.startswith("sha256=")
        assert "=" not in digest.removeprefix("sha256=")
        assert int(size) == sizes[name]
    assert len(record) == 3
