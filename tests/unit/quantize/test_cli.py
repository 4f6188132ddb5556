"""The commands as a user types them: exit codes, messages, and what is (not) left on the disk."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from bitloom.cli.main import cli
from bitloom.errors import BitloomError
from bitloom.variant import read_manifest


def bitloom(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def failure(result: Result) -> tuple[int, str]:
    """Exit code and message of a command that failed as `bitloom.cli.main` shows it."""
    assert isinstance(result.exception, BitloomError), result.exception
    return result.exception.exit_code, str(result.exception)


@pytest.fixture
def plan_file(llava_base: Path, tmp_path: Path) -> Path:
    document = {
        "name": "w4",
        "base": str(llava_base),
        "rules": [{"component": "language", "bits": 4, "group_size": 64}],
    }
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def edit(path: Path, **fields: object) -> None:
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **fields}))


def test_quantize_then_inspect(plan_file: Path, tmp_path: Path) -> None:
    done = bitloom("quantize", plan_file, "--out", tmp_path / "v")
    assert done.exit_code == 0, done.output
    shown = bitloom("inspect", tmp_path / "v", "--json")
    assert shown.exit_code == 0
    document = json.loads(shown.stdout)
    assert document["verified"] is True
    assert set(document["components"]) == {"vision", "connector", "language"}
    assert document["components"]["vision"]["bpw"] == 16
    assert 4 < document["components"]["language"]["bpw"] < 16
    assert "w4" in bitloom("inspect", tmp_path / "v").stdout


@contextmanager
def serving_metrics(page: str) -> Iterator[str]:
    """URL of a server whose `/metrics` is `page`."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_inspect_compares_with_what_workers_report(
    plan_file: Path, tmp_path: Path, llava_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    variant = tmp_path / "v"
    assert bitloom("quantize", plan_file, "--out", variant).exit_code == 0
    sha256 = read_manifest(variant).weights_sha256
    page = (
        f'bitloom_variant_info{{variant="mine",plan="w4",checkpoint_sha256="{sha256}",bpw="4.5"}} 1.0\n'
        'bitloom_variant_info{variant="other",plan="w8",checkpoint_sha256="00",bpw="8"} 1.0\n'
        'bitloom_weight_bytes{variant="mine",component="language"} 1234567.0\n'
        'bitloom_weight_bytes{variant="other",component="language"} 7654321.0\n'
        'bitloom_loaded_resident_bytes{variant="mine"} 98765432.0\n'
    )
    with serving_metrics(page) as url:
        shown = bitloom("inspect", variant, "--endpoint", f"{url}/v1")
        assert shown.exit_code == 0, shown.output
        predicted = read_manifest(variant).components["language"].resident_bytes["vllm"]
        for text in ("mine, loaded", "1,234,567", "98,765,432", f"{predicted:,}"):
            assert text in shown.output
        assert "7,654,321" not in shown.output
        document = json.loads(bitloom("inspect", variant, "--endpoint", url, "--json").output)
        assert document["served"][0]["weight_bytes"] == {"language": 1234567}
        assert "leave --endpoint out" in failure(bitloom("inspect", llava_base, "--endpoint", url))[1]
    with serving_metrics(page.replace(sha256, "01")) as url:
        code, message = failure(bitloom("inspect", variant, "--endpoint", url))
        assert (code, "has loaded these weights; it serves mine, other" in message) == (2, True)
    assert failure(bitloom("inspect", variant, "--endpoint", url))[0] == 1


def test_inspect_takes_a_base_checkpoint(llava_base: Path) -> None:
    document = json.loads(bitloom("inspect", llava_base, "--json").stdout)
    assert (document["plan"], document["verified"], document["family"]) == (None, False, "llava")
    assert document["total"]["bpw"] == 16


def test_a_dry_run_writes_nothing(plan_file: Path, tmp_path: Path) -> None:
    done = bitloom("quantize", plan_file, "--dry-run")
    assert done.exit_code == 0
    assert "engines: vllm, transformers" in done.output
    assert list(tmp_path.iterdir()) == [plan_file]


def test_without_a_place_to_write_the_remedy_is_named(plan_file: Path) -> None:
    done = bitloom("quantize", plan_file)
    assert done.exit_code == 2
    assert "--out DIR" in done.output


BAD_PLANS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown key": (
        {"rules": [{"bits": 4, "bitz": 3}]},
        "plan.yaml: rules.0.bitz: unknown key; did you mean 'bits'?",
    ),
    "a rule that matches nothing": (
        {"rules": [{"layers": "cross_attention", "bits": 4}]},
        "matches no layer",
    ),
    "bits that do not exist": ({"rules": [{"bits": 9}]}, "bits must be 2..8 or 16, not 9"),
    "a base that is not there": ({"base": "/nowhere/at/all"}, "/nowhere/at/all: no such directory"),
    "a method that does not exist": ({"rules": [{"bits": 4, "method": "magic"}]}, "rules.0.method"),
}


@pytest.mark.parametrize("case", BAD_PLANS)
def test_a_bad_plan_ends_with_2_and_leaves_nothing(plan_file: Path, tmp_path: Path, case: str) -> None:
    fields, message = BAD_PLANS[case]
    edit(plan_file, **fields)
    code, text = failure(bitloom("quantize", plan_file, "--out", tmp_path / "v"))
    assert code == 2
    assert message in text
    assert list(tmp_path.iterdir()) == [plan_file]


def test_a_plan_file_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    code, text = failure(bitloom("quantize", tmp_path / "no.yaml", "--out", tmp_path / "v"))
    assert code == 2
    assert "no.yaml: cannot be read" in text


def test_a_truncated_base_ends_with_2(llava_copy: Path, plan_file: Path, tmp_path: Path) -> None:
    weights = llava_copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    edit(plan_file, base=str(llava_copy))
    code, text = failure(bitloom("quantize", plan_file, "--out", tmp_path / "v"))
    assert code == 2
    assert "truncated" in text
    assert not (tmp_path / "v").exists()


def test_an_output_that_exists_is_not_touched(plan_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "v"
    out.mkdir()
    (out / "mine").write_text("keep")
    code, text = failure(bitloom("quantize", plan_file, "--out", out))
    assert code == 2
    assert "already exists; give a new directory" in text
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_a_changed_variant_ends_with_2(plan_file: Path, tmp_path: Path) -> None:
    assert bitloom("quantize", plan_file, "--out", tmp_path / "v").exit_code == 0
    weights = tmp_path / "v" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    code, text = failure(bitloom("inspect", tmp_path / "v"))
    assert code == 2
    assert "its SHA-256 is not the manifest's" in text
    code, text = failure(bitloom("inspect", tmp_path / "absent"))
    assert code == 2
    assert "no such directory" in text
