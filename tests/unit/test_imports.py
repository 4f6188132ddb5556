"""Who may import whom: the arrows of DESIGN.md are the only couplings, and torch stays in its rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("bitloom", "quantize", "server", "eval_client", "zoo", "benchmarks", "deploy")
ALLOWED = {
    "bitloom": {"bitloom"},
    "quantize": {"quantize", "bitloom"},
    "server": {"server", "bitloom"},
    "eval_client": {"eval_client", "bitloom"},
}
ENGINES = {"torch", "torchvision", "transformers", "vllm", "compressed_tensors", "safetensors"}
# The one picture of the flow that data sets and training share; it needs numpy and Pillow only.
SCENES = "zoo.scenes"


def imports(path: Path) -> Iterator[str]:
    """Absolute names of all modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_rooms_import_only_along_the_flow(room: str) -> None:
    assert sources(room)
    faults = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(room)
        for name in imports(path)
        if name.partition(".")[0] in set(ROOMS) - ALLOWED[room] and not name.startswith(SCENES)
    ]
    assert not faults


@pytest.mark.parametrize("room", ["bitloom", "server", "eval_client"])
def test_only_engine_workers_know_the_engines(room: str) -> None:
    faults = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(room)
        for name in imports(path)
        if name.partition(".")[0] in ENGINES and not path.is_relative_to(ROOT / "server" / "workers")
    ]
    assert not faults


def test_the_check_sees_imports_inside_functions(tmp_path: Path) -> None:
    file = tmp_path / "m.py"
    file.write_text("def f():\n    from quantize import pack\n    import torch.nn\n")
    assert list(imports(file)) == ["quantize", "quantize.pack", "torch.nn"]
