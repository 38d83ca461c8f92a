"""The `vecsearch` command: all groups of commands in one Typer app.

Each command opens a collection, calls one of its methods and shows the answer. Heavy imports wait
until a command runs, so that `vecsearch --help` answers at once.

Exit codes: 0 done, 1 error, 2 usage error, 130 interrupted.
"""

from __future__ import annotations

from typing import Annotated

import typer

from vecsearch.cli import (
    data,
    demo,
    evaluation,
    index,
    info,
    maintenance,
    models,
    recommend,
    search,
    sync,
    training,
)
from vecsearch.cli.terminal import out, remember_options

app = typer.Typer(
    name="vecsearch",
    help="Vector similarity search for your own documents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    data,
    sync,
    search,
    recommend,
    index,
    info,
    evaluation,
    maintenance,
    models,
    training,
    demo,
):
    app.add_typer(group.app)


def main() -> None:
    """Entry point of the `vecsearch` command."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        out.print(f"vecsearch {version('vecsearch')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version of vecsearch and exit.",
        ),
    ] = False,
) -> None:
    """Vector similarity search for your own documents."""
    remember_options(context)
