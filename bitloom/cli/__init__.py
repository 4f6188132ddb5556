"""The `bitloom` command: one lazily imported click command a room."""

from bitloom.cli.main import main

__all__ = ["main"]
