"""What every command shares: the options' types, and how a collection is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vecsearch.collection import Collection

Folder = Annotated[
    Path, typer.Argument(metavar="COLLECTION", help="The collection's folder.", show_default=False)
]
Version = Annotated[
    int | None, typer.Option("--version", help="An older version of the collection.")
]
Where = Annotated[
    str | None, typer.Option(help="SQL filter, such as \"year >= 2000 AND lang IN ('en', 'zh')\".")
]
Columns = Annotated[str | None, typer.Option(help="Columns to show, separated by commas.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def open_for(folder: Path, version: int | None = None) -> Collection:
    """The collection in a folder, or an older version of it."""
    from vecsearch.collection import open_collection

    return open_collection(folder, version=version)
