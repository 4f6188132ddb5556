"""What a user can mend ends with exit code 2 and a message that says how."""

from pathlib import Path

from click.testing import CliRunner

from zoo.evaluate.__main__ import main as evaluate
from zoo.train.__main__ import main as train


def test_training_refuses_a_torn_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"torn")
    result = CliRunner().invoke(train, ["llava", "--run", str(tmp_path), "--out", str(tmp_path / "model")])
    assert result.exit_code == 2
    assert "remove it to start anew" in result.stderr
    assert not (tmp_path / "model").exists()


def test_evaluation_of_a_missing_model_names_it(tmp_path: Path) -> None:
    result = CliRunner().invoke(evaluate, ["llava", "--model", str(tmp_path / "gone")])
    assert result.exit_code == 2
    assert "gone: no model directory" in result.stderr


def test_unknown_family_lists_the_known_ones() -> None:
    result = CliRunner().invoke(train, ["flamingo"])
    assert result.exit_code == 2
    assert "llava" in result.stderr
