"""`bitloom store`: list, gc, verify."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from bitloom.errors import InputError
from quantize.cli_store import command
from quantize.errors import StoreError
from quantize.store import ObjectStore
from quantize.store.location import STORE_ENV

KEY = "ab" * 32


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = ObjectStore(tmp_path)
    store.put(KEY, {"x": torch.ones(4)}, {"kind": "layer"})
    store.put("cd" * 32, {"x": torch.ones(4)}, {"kind": "statistics"})
    return tmp_path


def run(root: Path, *arguments: str) -> str:
    result = CliRunner().invoke(command, ["--root", str(root), *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def damage(root: Path) -> None:
    path = root / "objects" / "ab" / f"{KEY}.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def test_list_counts_objects_by_kind(root: Path) -> None:
    assert "2" in run(root, "list")
    long = run(root, "list", "--long")
    assert KEY in long
    assert "statistics" in long


def test_the_store_is_found_by_the_environment(root: Path) -> None:
    result = CliRunner().invoke(command, ["verify"], env={STORE_ENV: str(root)})
    assert "checked 2 objects, 0 damaged" in result.output


def test_gc_needs_something_to_remove_by(root: Path) -> None:
    with pytest.raises(InputError, match="--unused-days or --max-bytes"):
        CliRunner().invoke(command, ["--root", str(root), "gc"], catch_exceptions=False)
    assert "removed 2 objects" in run(root, "gc", "--max-bytes", "0")
    assert not list(ObjectStore(root).entries())


def test_verify_names_damage_and_removes_it_on_request(root: Path) -> None:
    damage(root)
    with pytest.raises(StoreError, match="1 objects are damaged"):
        CliRunner().invoke(command, ["--root", str(root), "verify"], catch_exceptions=False)
    output = run(root, "verify", "--remove")
    assert KEY in output.replace("\n", "")
    assert KEY not in ObjectStore(root)
    assert "checked 1 objects, 0 damaged" in run(root, "verify")
