"""The `vecsearch` command: all groups of commands in one Typer app.

Each command opens a collection, calls one of its methods and shows the answer. Heavy imports wait
until a command runs, so that `vecsearch --help` answers at once.

Exit codes: 0 done, 1 error, 2 usage error, 130 interrupted.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperGroup

from vecsearch.cli import (
    columns,
    data,
    demo,
    documents,
    evaluation,
    index,
    info,
    maintenance,
    mcp,
    models,
    recommend,
    search,
    serve,
    sync,
    train,
    training,
    whole,
)
from vecsearch.cli.options import (
    DOCUMENTS,
    INDEX,
    MODELS,
    QUALITY,
    SAFETY,
    START,
    WHOLE,
    examples,
)
from vecsearch.cli.terminal import accept_all_characters, out, remember_options

# What an option takes, by the type of its value, where it does not say so itself.
_VALUES = {"int": "NUMBER", "float": "NUMBER", "path": "PATH", "str": "TEXT"}
PANELS = (START, DOCUMENTS, WHOLE, QUALITY, INDEX, MODELS, SAFETY)


class Commands(TyperGroup):
    """The commands; the help of each has the values of its options in upper case."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name, made ready for help."""
        command: Any = super().get_command(ctx, cmd_name)
        if command is not None and "_is_ready" not in vars(command):
            command._is_ready = True
            command.collect_usage_pieces = partial(_usage, command)
            paragraphs = (command.help or "").split("\n\n")
            command.help = "\n\n".join(" ".join(each.split()) for each in paragraphs)
        return command

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands, panel by panel."""
        return sorted(super().list_commands(ctx), key=self._panel_of)

    def _panel_of(self, name: str) -> int:
        panel = getattr(self.commands[name], "rich_help_panel", None)
        return PANELS.index(panel) if panel in PANELS else len(PANELS)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words after `vecsearch`."""
        for parameter in self.get_params(ctx):
            _in_upper_case(parameter)
        return super().collect_usage_pieces(ctx)


def _usage(command: Any, context: Any) -> list[str]:
    """The words after a command's name: COLLECTION [QUESTION] [OPTIONS]."""
    words = []
    for parameter in command.get_params(context):
        _in_upper_case(parameter)
        if parameter.param_type_name == "argument":
            word = (parameter.metavar or parameter.name.upper()).removesuffix("...")
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
    if descriptor is None:
        return  # an older Typer has words of its own, in upper case
    if descriptor.is_choice:
        parameter.metavar = parameter.display_type(None).strip("<>")
        return
    kind = descriptor.annotation
    kind = (get_args(kind) or (kind,))[0]
    parameter.metavar = _VALUES.get(getattr(kind, "__name__", "").lower())


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
    documents,
    data,
    columns,
    search,
    info,
    demo,
    serve,
    mcp,
    recommend,
    whole,
    sync,
    evaluation,
    index,
    models,
    train,
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
