"""Defaults < file < environment < flags, and the messages for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitloom.errors import InputError
from server.settings import resolve_config

VARIANTS = [{"name": "a", "url": "unix:/run/a.sock"}]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_later_sources_win_key_by_key(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", "port: 1\nhost: 127.0.0.2\nlimits: {n: 2, messages: 3}\n")
    environment = {"BITLOOM_SERVE_LIMITS__N": "5", "BITLOOM_SERVE_PORT": "2", "OTHER": "x"}
    config = resolve_config(file, environment, {"port": 3, "host": None, "variants": VARIANTS})
    assert (config.port, config.host) == (3, "127.0.0.2")
    assert (config.limits.n, config.limits.messages) == (5, 3)
    assert config.limits.image_side == 8


def test_defaults_stay_on_this_machine() -> None:
    assert resolve_config(None, {}, {"variants": VARIANTS}).host == "127.0.0.1"


def test_directories_of_a_file_are_relative_to_it(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", "variants: [{name: w4, directory: models/w4}]")
    assert resolve_config(file, {}, {}).variants[0].directory == tmp_path / "models/w4"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot: 1", "prot"),
        ("port: many", "port"),
        ("limits: {n: 0}", "limits.n"),
        ("worker: {kv: 1}", "worker.kv"),
        ("variants: [{name: a}]", "either `directory` or `url`"),
        ("variants: [{name: a, url: 'ftp://x'}]", "a url is"),
        ("variants: [{name: '../a', url: 'unix:/x'}]", "name"),
        (
            "variants: [{name: a, url: 'unix:/x'}, {name: a, url: 'unix:/y'}]",
            "two variants or routes are called a",
        ),
        ("[1, 2]", "expected a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_wrong_file_names_the_file_and_the_fault(tmp_path: Path, text: str, named: str) -> None:
    if "variants" not in text:
        text += "\nvariants: [{name: a, url: 'unix:/x'}]" if text[0] != "[" else ""
    file = write(tmp_path / "c.yaml", text)
    with pytest.raises(InputError) as caught:
        resolve_config(file, {}, {})
    assert str(file) in str(caught.value)
    assert named in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["BITLOOM_SERVE_PROT", "BITLOOM_SERVE_LIMITS__NN"])
def test_an_unknown_variable_is_an_error(name: str) -> None:
    with pytest.raises(InputError, match=r"BITLOOM_SERVE_\*"):
        resolve_config(None, {name: "1"}, {"variants": VARIANTS})


def test_nothing_to_serve_says_what_to_give() -> None:
    with pytest.raises(InputError, match="give variant directories"):
        resolve_config(None, {}, {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        resolve_config(tmp_path / "none.yaml", {}, {})
