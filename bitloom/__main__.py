"""`python -m bitloom` is the `bitloom` command."""

from bitloom.cli import main

main()
