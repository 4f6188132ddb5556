"""The journal: torn anywhere it keeps every whole line, and it has one owner."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitloom.errors import BitloomError, DataError, InputError
from bitloom.results import SampleRecord
from eval_client.run.journal import Journal, read_records, repair

MakeRecord = Callable[..., SampleRecord]
ANSWERS = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(answers=st.lists(ANSWERS, min_size=1, max_size=4), data=st.data())
def test_cut_anywhere_it_keeps_the_whole_lines_and_goes_on(
    tmp_path: Path, record: MakeRecord, answers: list[str], data: st.DataObject
) -> None:
    path = tmp_path / "samples.jsonl"
    path.unlink(missing_ok=True)
    records = [record(f"vqa/{number}", answer=answer) for number, answer in enumerate(answers)]
    with Journal(path) as journal:
        for each in records:
            journal.append(each)
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    with Journal(path) as journal:
        assert list(journal.records.values()) == records[:whole]
        for each in records[whole:]:
            journal.append(each)
    assert path.read_bytes() == content


def test_the_last_record_of_a_sample_holds(tmp_path: Path, record: MakeRecord) -> None:
    path = tmp_path / "samples.jsonl"
    with Journal(path) as journal:
        journal.append(record(error="stalled: x"))
        assert journal.answered == set()
        journal.append(record(answer="no"))
    with Journal(path) as journal:
        assert journal.answered == {"vqa/1"}
        assert journal.records["vqa/1"].answer == "no"


def test_two_runs_cannot_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    with Journal(path), pytest.raises(InputError, match="another run is writing here"):
        Journal(path).__enter__()
    with Journal(path):
        pass


def test_a_damaged_line_is_named(tmp_path: Path, record: MakeRecord) -> None:
    path = tmp_path / "samples.jsonl"
    line = record().model_dump_json()
    path.write_text(f"{line}\n{{}}\n{line}\n")
    with pytest.raises(DataError, match="line 2: damaged"):
        list(read_records(path))


def test_repair_of_a_file_with_only_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b'{"sample_id": ')
    assert repair(path) == 0
    assert path.read_bytes() == b""


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A full disk: no file may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_names_the_sample_and_keeps_the_rest(tmp_path: Path, record: MakeRecord) -> None:
    path = tmp_path / "samples.jsonl"
    with Journal(path) as journal:
        journal.append(record("vqa/1"))
        size = path.stat().st_size
        with (
            files_of_at_most(size + 40),
            pytest.raises(BitloomError, match="sample vqa/2 could not be written"),
        ):
            journal.append(record("vqa/2"))
        assert path.stat().st_size == size
        journal.append(record("vqa/2"))
    assert [each.sample_id for each in read_records(path)] == ["vqa/1", "vqa/2"]
