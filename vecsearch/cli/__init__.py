"""The command line: one module for each group of commands; `app` puts them together."""

from vecsearch.cli.app import main

__all__ = ["main"]
