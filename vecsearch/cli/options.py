"""Options that several commands share, and how a command opens its collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vecsearch.collection import Collection

DEFAULT_EMBEDDER = "all-MiniLM-L6-v2"

Folder = Annotated[
    Path, typer.Argument(metavar="COLLECTION", help="The collection's folder.", show_default=False)
]
Version = Annotated[
    int | None,
    typer.Option("--version", help="Read an older version of the collection."),
]
Where = Annotated[
    str | None, typer.Option(help="SQL filter, such as \"year >= 2000 AND lang IN ('en', 'zh')\".")
]
Columns = Annotated[str | None, typer.Option(help="Columns, separated by commas.")]
Recall = Annotated[
    float | None,
    typer.Option(help="Share of the exact answer to deliver. Default: the collection's target."),
]
Exact = Annotated[bool, typer.Option("--exact", help="Score every row (recall 1).")]
Queries = Annotated[
    Path | None,
    typer.Option(
        help='File of queries to measure with, or "sampled" for stored ones. '
        "Default: rows of the collection."
    ),
]
JudgedQueries = Annotated[
    Path | None,
    typer.Option(help='Queries: .jsonl as in BEIR, or lines of "id<tab>text".'),
]
Qrels = Annotated[
    Path | None,
    typer.Option(help="Relevance judgments: .tsv as in BEIR, or TREC's four columns."),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def names_in(columns: str | None) -> list[str] | None:
    """The names in a value of `Columns`."""
    return None if columns is None else [name.strip() for name in columns.split(",")]


def open_for(folder: Path, version: int | None = None) -> Collection:
    """The collection in a folder, or an older version of it."""
    from vecsearch.collection import open_collection

    return open_collection(folder, version=version)
