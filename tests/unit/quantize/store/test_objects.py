"""Objects are whole or absent, whoever writes them and whatever happens to the disk."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest
import torch

from quantize.errors import StoreError
from quantize.store import ObjectStore

KEY = "ab" * 32
OTHER = "cd" * 32
TENSORS = {
    "packed": torch.arange(12, dtype=torch.int32).view(3, 4),
    "scales": torch.tensor([[0.5], [1.5]], dtype=torch.bfloat16),
    "empty": torch.zeros(0, dtype=torch.int8),
}
FACTS = {"kind": "layer", "relative_error": 0.25, "fallback": None}


def filled(root: Path, *keys: str) -> ObjectStore:
    store = ObjectStore(root)
    for key in keys:
        store.put(key, TENSORS, FACTS)
    return store


def path_of(root: Path, key: str) -> Path:
    return root / "objects" / key[:2] / f"{key}.safetensors"


def test_what_is_put_is_got_back(tmp_path: Path) -> None:
    store = filled(tmp_path, KEY)
    assert KEY in store
    assert OTHER not in store
    found = store.get(KEY)
    assert found.facts == FACTS
    assert found.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def test_an_object_is_never_written_twice(tmp_path: Path) -> None:
    store = filled(tmp_path, KEY)
    before = path_of(tmp_path, KEY).stat().st_ino
    store.put(KEY, TENSORS, FACTS)
    assert path_of(tmp_path, KEY).stat().st_ino == before


def test_missing_objects_and_odd_keys_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such object"):
        ObjectStore(tmp_path).get(KEY)
    with pytest.raises(ValueError, match="SHA-256"):
        ObjectStore(tmp_path).get("../escape")


@pytest.mark.parametrize("place", [-1, 20, -40])
def test_a_changed_byte_is_found(tmp_path: Path, place: int) -> None:
    store = filled(tmp_path, KEY)
    path = path_of(tmp_path, KEY)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        store.get(KEY)


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_torn_object_is_found(tmp_path: Path, length: int) -> None:
    store = filled(tmp_path, KEY)
    path = path_of(tmp_path, KEY)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(StoreError, match="damaged"):
        store.peek(KEY)


def test_an_object_under_another_key_is_found(tmp_path: Path) -> None:
    store = filled(tmp_path, KEY)
    path_of(tmp_path, OTHER).parent.mkdir()
    path_of(tmp_path, KEY).rename(path_of(tmp_path, OTHER))
    with pytest.raises(StoreError, match="its hash is wrong"):
        store.get(OTHER)


def test_a_disk_that_takes_nothing_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / KEY[:2]).write_text("a file where a directory is needed")
    with pytest.raises(StoreError, match="bitloom store gc"):
        ObjectStore(tmp_path).put(KEY, TENSORS, FACTS)
    assert KEY not in ObjectStore(tmp_path)


def test_collection_removes_the_longest_unused_first(tmp_path: Path) -> None:
    keys = [f"{n:02x}" * 32 for n in range(4)]
    store = filled(tmp_path, *keys)
    for age, key in enumerate(keys):
        moment = time.time() - 1000 * (age + 1)
        os.utime(path_of(tmp_path, key), (moment, moment))
    store.get(keys[3])  # the oldest has just been used
    size = path_of(tmp_path, keys[0]).stat().st_size
    removed = store.collect(max_age_s=2500, max_bytes=2 * size)
    assert {entry.key for entry in removed} == {keys[2], keys[1]}
    assert [entry.key for entry in store.entries()] == sorted([keys[0], keys[3]])


def test_collection_removes_what_killed_writers_left(tmp_path: Path) -> None:
    store = filled(tmp_path, KEY)
    stale, fresh = (path_of(tmp_path, KEY).parent / name for name in (".stale", ".fresh"))
    for path in (stale, fresh):
        path.write_text("half")
    os.utime(stale, (0, 0))
    store.collect()
    assert not stale.exists()
    assert fresh.exists()
    assert KEY in store


def _write_many(root: str, rounds: int) -> None:
    store = ObjectStore(Path(root))
    for number in range(rounds):
        key = f"{number:064x}"
        store.put(key, {"x": torch.full((2000,), number)}, {"number": number})
        assert store.get(key).facts["number"] == number


def test_concurrent_writers_of_the_same_keys_never_see_half_an_object(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(str(tmp_path), 60)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0] * 4
    store = ObjectStore(tmp_path)
    entries = list(store.entries())
    assert len(entries) == 60
    for entry in entries:
        store.peek(entry.key)
    assert not list(tmp_path.glob("objects/??/.*"))
