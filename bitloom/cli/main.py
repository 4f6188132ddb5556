"""Entry point of `bitloom`: finds the command's room, runs it, turns errors into messages.

Exit codes: 0 done, 1 the work failed, 2 the user's input is wrong, 130 interrupted.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys

import click
from rich.console import Console

from bitloom import __version__
from bitloom.errors import BitloomError

COMMANDS = {
    "demo": ("bitloom.cli.demo:command", "The whole loop on the tiny LLaVA, in one command."),
    "plan": ("quantize.cli_plan:command", "Show, compare and check plans."),
    "quantize": ("quantize.cli:command", "Make a variant of a checkpoint by the rules of a plan."),
    "export": ("quantize.cli_convert:export_command", "A variant as an AutoAWQ or GPTQ checkpoint."),
    "import": ("quantize.cli_convert:import_command", "An AutoAWQ or GPTQ checkpoint as a variant."),
    "store": ("quantize.cli_store:command", "List, clean or verify the artifact store."),
    "inspect": ("quantize.cli_inspect:command", "Parameters, bytes and bits per weight of a directory."),
    "serve": ("server.cli:command", "Serve variants behind one OpenAI-style endpoint."),
    "keys": ("server.cli_keys:command", "Create and list API keys."),
    "eval": ("eval_client.cli:command", "Evaluate a model over HTTP."),
    "compare": ("eval_client.cli_compare:command", "What two runs of the same samples say of each other."),
    "ab": ("eval_client.cli_ab:command", "Two live models asked at once, and compared."),
    "report": ("eval_client.cli_report:command", "One HTML page of several runs."),
    "score": ("eval_client.cli_score:command", "Score result files without a server."),
    "study": ("bitloom.study.cli:command", "Grids, importance and the best plan for a budget."),
    "schema": ("bitloom.cli.schema:command", "JSON Schema of a file that Bitloom reads or writes."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, and not for `--help`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the flow."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        target, _ = COMMANDS[cmd_name]
        module, attribute = target.split(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{target} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table: asking each would import torch."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="bitloom")
@click.option("--verbose", is_flag=True, help="Log at debug level.")
def cli(verbose: bool) -> None:
    """Quantize, serve, evaluate and study mixed-precision variants of multimodal LLMs."""
    level = logging.DEBUG if verbose else os.environ.get("BITLOOM_LOG", "INFO").upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        cli.main(standalone_mode=False)
    except BitloomError as exc:
        Console(stderr=True).print(f"bitloom: {exc}", style="red", markup=False, highlight=False)
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
