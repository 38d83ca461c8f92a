"""The `vecsearch` command: all groups of commands in one Typer app.

Each command opens a collection, calls one of its methods and shows the answer. Heavy imports wait
until a command runs, so that `vecsearch --help` answers at once.

Exit codes: 0 done, 1 error, 2 usage error, 130 interrupted.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vecsearch.cli import (
    data,
    demo,
    documents,
    evaluation,
    index,
    info,
    maintenance,
    models,
    search,
    training,
)
from vecsearch.cli.options import examples
from vecsearch.cli.terminal import accept_all_characters, out, remember_options

# What an option takes, by the type of its value, where it does not say so itself.
_VALUES = {"int": "NUMBER", "integer": "NUMBER", "float": "NUMBER", "path": "PATH", "str": "TEXT"}


class Commands(TyperGroup):
    """The commands; the help of each has the values of its options in upper case."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name, made ready for help."""
        command: Any = super().get_command(ctx, cmd_name)
        if command is not None and "_is_ready" not in vars(command):
            command._is_ready = True
            command.collect_usage_pieces = partial(_usage, command)
            for parameter in command.params:
                _in_upper_case(parameter)
        return command


def _usage(command: Any, context: Any) -> list[str]:
    """The words after a command's name: COLLECTION [QUESTION] [OPTIONS]."""
    words = []
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            word = parameter.metavar or parameter.name.upper()
            word += "..." if parameter.nargs != 1 else ""
            words.append(word if parameter.required else f"[{word}]")
    return [*words, "[OPTIONS]"]


def _in_upper_case(parameter: Any) -> None:
    if parameter.param_type_name == "argument":
        parameter.metavar = parameter.metavar or parameter.name.upper()
        parameter.display_type_rich = lambda ctx: None  # the name says it
        return
    if parameter.metavar is not None:
        return
    if parameter.is_flag:
        parameter.metavar = ""
        return
    descriptor = getattr(parameter, "type_descriptor", None)
    kind = getattr(descriptor, "annotation", None)
    name = getattr(kind, "__name__", "") or getattr(getattr(parameter, "type", None), "name", "")
    parameter.metavar = _VALUES.get(name.lower())


app = typer.Typer(
    name="vecsearch",
    cls=Commands,
    help="Vector similarity search for your own documents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=examples(
        "vecsearch ingest ~/notes notes.vs",
        'vecsearch search notes.vs "what did we decide about the budget"',
        "vecsearch search --help",
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
# In this order the panels of `vecsearch --help` and the commands in them appear.
for group in (
    data,
    search,
    info,
    demo,
    documents,
    evaluation,
    index,
    models,
    training,
    maintenance,
):
    app.add_typer(group.app)


def main() -> None:
    """Entry point of the `vecsearch` command."""
    accept_all_characters()
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
