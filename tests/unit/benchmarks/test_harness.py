from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks.caption_metrics import captions
from benchmarks.harness import CACHE_VARIABLE, Figures, peer_environment, peer_home


@pytest.mark.parametrize(("holds", "exit_code"), [(True, 0), (False, 1), (None, 0)])
def test_the_last_line_is_the_closing_object(
    capsys: pytest.CaptureFixture[str], holds: bool | None, exit_code: int
) -> None:
    assert Figures("name", {"ratio": 12.5, "images": 3}, "ratio at least 10", holds).close() == exit_code
    last = capsys.readouterr().out.strip().split("\n")[-1]
    assert json.loads(last) == {
        "name": "name",
        "figures": {"ratio": 12.5, "images": 3},
        "bar": "ratio at least 10",
        "holds": holds,
    }


def test_an_environment_that_is_there_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    home = peer_home("peer")
    home.mkdir()
    stamp = sha256(b"peer==1").hexdigest()[:12]
    (home / "requirements.sha256").write_text(stamp)
    assert peer_environment("peer", ["peer==1"]) == home / "bin" / "python"
    assert sorted(path.name for path in home.iterdir()) == ["requirements.sha256"]


def test_generated_captions_are_the_same_every_time() -> None:
    references, candidates = captions(3)
    assert (references, candidates) == captions(3)
    assert [len(texts) for texts in references] == [5, 5, 5]
    assert len(candidates) == 3
