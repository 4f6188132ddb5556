"""The command: what is wrong with the input is said before anything is asked."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from bitloom.errors import BitloomError
from eval_client.cli import command


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 1, "refused: no connection"),
        (("--endpoint", "127.0.0.1:8000"), 2, "expected one like http://"),
        (("--tasks", "captions"), 2, "unknown task 'captions'; choose from caption, retrieval, vqa"),
        (("--samples", "many"), 2, "'many' is not understood"),
        (("--concurrency", "0"), 2, "concurrency"),
    ],
)
def test_exit_codes_and_messages(arguments: tuple[str, ...], code: int, message: str, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{closed_port()}"
    fixed = ("--endpoint", endpoint, "--model", "m", "--out", str(tmp_path / "run"))
    result = CliRunner().invoke(command, [*fixed, *arguments])
    assert isinstance(result.exception, BitloomError)
    assert result.exception.exit_code == code
    assert message in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_at_most_eight_flags() -> None:
    assert len(command.params) <= 8
