"""Commands that add, drop and widen columns."""

from __future__ import annotations

from typing import Annotated

import typer

from vecsearch.cli.options import DOCUMENTS, Debug, Folder, Json, examples, open_for
from vecsearch.cli.terminal import print_answer, reporting

app = typer.Typer()


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch add-column notes.vs year int64",
    ),
)
def add_column(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="The column.")],
    kind: Annotated[
        str, typer.Argument(metavar="TYPE", help="int64, double, string, date32, json, ...")
    ],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Add a column that is empty in every document."""
    with reporting(debug), open_for(folder) as collection:
        _print_column(as_json, collection.add_column(name, kind), f"column {name} added")


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch drop-column notes.vs draft",
    ),
)
def drop_column(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="The column.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove a column and its values."""
    with reporting(debug), open_for(folder) as collection:
        _print_column(as_json, collection.drop_column(name), f"column {name} removed")


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch alter-column notes.vs price double",
    ),
)
def alter_column(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="The column.")],
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="The wider type.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Give a column a wider type that loses no value."""
    with reporting(debug), open_for(folder) as collection:
        _print_column(as_json, collection.alter_column(name, kind), f"column {name} is {kind}")


def _print_column(as_json: bool, version: int, message: str) -> None:
    print_answer(as_json, {"version": version}, f"{message} (version {version})")
