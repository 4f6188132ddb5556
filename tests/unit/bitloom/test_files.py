"""Directories and files appear whole or not at all."""

import hashlib
from pathlib import Path

import pytest

from bitloom.errors import BitloomError, InputError
from bitloom.files import list_files, new_directory, sha256_file, write_atomic


def test_a_directory_appears_when_its_block_succeeds(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "variant"
    with new_directory(target) as directory:
        (directory / "a.bin").write_bytes(b"12345")
        assert not target.exists()
    assert (target / "a.bin").read_bytes() == b"12345"
    assert [path.name for path in target.parent.iterdir()] == ["variant"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with new_directory(tmp_path / "variant") as directory:
            (directory / "half").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_message_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BitloomError, match="nothing was left"), new_directory(tmp_path / "variant"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_directory_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    with pytest.raises(InputError, match="already exists"), new_directory(tmp_path):
        pass
    assert (tmp_path / "kept").read_text() == "kept"


def test_an_empty_directory_may_be_filled(tmp_path: Path) -> None:
    target = tmp_path / "empty"
    target.mkdir()
    with new_directory(target) as directory:
        (directory / "a").write_text("a")
    assert (target / "a").exists()


def test_hashes_and_sizes_are_those_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"bb")
    (tmp_path / "a").write_bytes(b"a")
    entries = list_files(tmp_path)
    assert [(entry.path, entry.bytes) for entry in entries] == [("a", 1), ("sub/b", 2)]
    assert entries[1].sha256 == hashlib.sha256(b"bb").hexdigest() == sha256_file(tmp_path / "sub" / "b")


def test_an_atomic_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_atomic(path, "first, and longer")
    write_atomic(path, b"second")
    assert path.read_bytes() == b"second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]
