"""Commands that add documents to a collection and delete them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vecsearch.cli.options import DEFAULT_EMBEDDER, Debug, Folder, Json, Where, open_for
from vecsearch.cli.terminal import count, print_answer, reporting
from vecsearch.types import Metric, OnConflict

if TYPE_CHECKING:
    from vecsearch.collection import Collection

PANEL = "Documents"
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def ingest(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA",
            exists=True,
            help="Files (.parquet, .csv, .tsv, .jsonl, .arrow), or folders of .txt and .md files.",
            show_default=False,
        ),
    ],
    folder: Folder,
    embedder: Annotated[
        str | None,
        typer.Option(help=f"New collection: its embedding model. Default: {DEFAULT_EMBEDDER}."),
    ] = None,
    dim: Annotated[
        int | None, typer.Option(help="New collection of ready-made vectors: their dimension.")
    ] = None,
    metric: Annotated[
        Metric | None,
        typer.Option(help="New collection: how vectors are compared. Default: cosine."),
    ] = None,
    chunk: Annotated[
        bool, typer.Option("--chunk", help="New collection: split long texts into passages.")
    ] = False,
    chunk_chars: Annotated[
        int | None, typer.Option(help="The same, with passages of at most this many characters.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.")] = None,
    id_column: Annotated[str, typer.Option(help="Column that holds the ids.")] = "id",
    schema: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:TYPE", help="New collection: a column's type. Repeatable."),
    ] = None,
    on_conflict: Annotated[
        OnConflict, typer.Option(help="What to do with an id that is already in the collection.")
    ] = "error",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Add documents to a collection; create it if need be."""
    with reporting(debug):
        chunker = chunk_chars or chunk or None
        with _open_or_create(folder, embedder, dim, metric, chunker, schema) as collection:
            result = collection.add(
                data, on_conflict=on_conflict, id_column=id_column, text_column=text_column
            )
            documents = len(collection)
        print_answer(
            as_json,
            result,
            f"{count(result.added, 'document')} added, {result.replaced:,} replaced, "
            f"{result.skipped:,} skipped; {folder} holds {documents:,} (version {result.version})",
        )


@app.command(rich_help_panel=PANEL)
def delete(
    folder: Folder,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Ids of documents.", show_default=False),
    ] = None,
    where: Where = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Delete documents by id or by filter."""
    if bool(ids) == bool(where):
        raise typer.BadParameter("give ids, or --where with a filter", param_hint="'IDS'")
    with reporting(debug), open_for(folder) as collection:
        integer_ids = collection.info().columns["id"] == "int64"
        result = collection.delete(
            [_integer_or_text(item) for item in ids] if ids and integer_ids else ids, where=where
        )
        missing = f"; {result.missing:,} not found" if result.missing else ""
        deleted = count(result.deleted, "document")
        print_answer(as_json, result, f"{deleted} deleted{missing} (version {result.version})")


@app.command(rich_help_panel=PANEL)
def add_column(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="The column.")],
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="int64, double, string, date32, ...")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Add a column that is empty in every document."""
    with reporting(debug), open_for(folder) as collection:
        _print_column(as_json, collection.add_column(name, kind), f"column {name} added")


@app.command(rich_help_panel=PANEL)
def drop_column(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="The column.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove a column and its values."""
    with reporting(debug), open_for(folder) as collection:
        _print_column(as_json, collection.drop_column(name), f"column {name} removed")


@app.command(rich_help_panel=PANEL)
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


def _declared(schema: list[str] | None) -> dict[str, str] | None:
    """The columns of `--schema name:type`."""
    if not schema:
        return None
    pairs = [item.partition(":") for item in schema]
    if not all(name and kind for name, _, kind in pairs):
        raise typer.BadParameter("write NAME:TYPE, such as year:int64", param_hint="--schema")
    return {name: kind for name, _, kind in pairs}


def _open_or_create(
    folder: Path,
    embedder: str | None,
    dim: int | None,
    metric: Metric | None,
    chunker: int | bool | None,
    schema: list[str] | None,
) -> Collection:
    """Open a collection, or create it; options that are fixed at creation must agree."""
    from vecsearch.collection import create, open_collection
    from vecsearch.errors import CollectionNotFoundError

    try:
        collection = open_collection(folder, embedder=embedder)
    except CollectionNotFoundError:
        model = embedder or (DEFAULT_EMBEDDER if dim is None else None)
        return create(
            folder,
            embedder=model,
            dim=dim,
            metric=metric or Metric.COSINE,
            chunker=chunker,
            schema=_declared(schema),
        )
    if schema:
        raise typer.BadParameter(
            f"{folder} exists already; change its columns with add-column, drop-column and "
            "alter-column",
            param_hint="--schema",
        )
    info = collection.info()
    for option, wanted, current in (("--metric", metric, info.metric), ("--dim", dim, info.dim)):
        if wanted is not None and wanted != current:
            raise typer.BadParameter(
                f"{folder} was made with {current}, which cannot change; make a new collection",
                param_hint=option,
            )
    if chunker and info.chunker is None:
        raise typer.BadParameter(
            f"{folder} was made without a chunker, which cannot change; make a new collection",
            param_hint="--chunk",
        )
    return collection


def _integer_or_text(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdecimal() else text
