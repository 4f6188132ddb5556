"""Keys are shown once, stored as hashes, found only whole."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from bitloom.errors import InputError
from server.app.access import needed_scope
from server.app.rate_limit import RateLimiter
from server.cli_keys import command
from server.errors import TooMany
from server.keys import KeyFile, KeyRing, create_key


def test_a_key_is_found_by_its_secret_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    one = create_key(path, "one", ("infer",))
    two = create_key(path, "two", ("infer", "admin"), requests_per_minute=5)
    assert one not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ring = KeyRing(KeyFile.read(path).keys)
    found = ring.find(two)
    assert found is not None
    assert (found.id, found.scopes, found.requests_per_minute) == ("two", ("infer", "admin"), 5)
    digest = KeyFile.read(path).keys[0].sha256
    for wrong in ("", one[:-1], one + "x", one.upper(), digest, "\udc80"):
        assert ring.find(wrong) is None


def test_an_id_is_used_once(tmp_path: Path) -> None:
    create_key(tmp_path / "k", "one", ("infer",))
    before = (tmp_path / "k").read_text()
    with pytest.raises(InputError, match="there is a key one already"):
        create_key(tmp_path / "k", "one", ("admin",))
    assert (tmp_path / "k").read_text() == before


def test_the_command_prints_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    arguments = ["create", "ci", "--file", str(path), "--scope", "infer", "--scope", "pin"]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    found = KeyRing(KeyFile.read(path).keys).find(done.output.strip())
    assert found is not None
    assert found.scopes == ("infer", "pin")


def test_admin_paths_need_the_admin_scope() -> None:
    assert needed_scope("/admin/variants") == "admin"
    assert needed_scope("/v1/chat/completions") == "infer"


def test_the_rate_refills_with_time(tmp_path: Path) -> None:
    secret = create_key(tmp_path / "k", "one", ("infer",), requests_per_minute=2)
    key = KeyRing(KeyFile.read(tmp_path / "k").keys).find(secret)
    assert key is not None
    now = [0.0]
    limiter = RateLimiter(lambda: now[0])
    limiter.spend(key)
    limiter.spend(key)
    with pytest.raises(TooMany) as caught:
        limiter.spend(key)
    assert caught.value.headers() == {"retry-after": "30"}
    now[0] = 30.0
    limiter.spend(key)
    with pytest.raises(TooMany):
        limiter.spend(key)
    now[0] = 1e6
    limiter.spend(key)
    limiter.spend(key)
    with pytest.raises(TooMany):
        limiter.spend(key)
