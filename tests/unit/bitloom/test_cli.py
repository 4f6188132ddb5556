"""The command starts fast, without torch, and turns errors into messages and exit codes."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from bitloom.cli.main import COMMANDS, cli
from bitloom.plan import Plan


def bitloom(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bitloom", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_help_imports_no_engine() -> None:
    script = "import sys; from bitloom.cli.main import cli; cli(['--help'], standalone_mode=False); " + (
        "assert not {'torch', 'vllm', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["plan", "variant", "run", "sample"])
def test_schemas_are_json_schemas(name: str) -> None:
    result = CliRunner().invoke(cli, ["schema", name])
    document = json.loads(result.output)
    assert document["type"] == "object"
    assert document["additionalProperties"] is False


def test_the_plan_schema_accepts_what_the_plan_accepts() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = {"name": "a", "base": "b", "rules": [{"bits": 4}]}
    schema = Plan.model_json_schema()
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "colour": 1}, schema)


def test_wrong_input_ends_with_a_message_and_exit_code_2() -> None:
    done = bitloom("quantize", "nowhere.yaml", "--out", "never")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_command_ends_with_exit_code_2() -> None:
    assert bitloom("levitate").returncode == 2
