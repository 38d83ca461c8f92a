"""Commands that read documents without a search: by id, by filter, and their number."""

from __future__ import annotations

from typing import Annotated

import typer

from vecsearch.cli.options import (
    DOCUMENTS,
    Columns,
    Csv,
    Debug,
    Folder,
    IdsFile,
    Json,
    OneId,
    Table,
    Timeout,
    Version,
    Where,
    examples,
    ids_of,
    names_in,
    open_for,
)
from vecsearch.cli.tables import Format, format_of, print_documents
from vecsearch.cli.terminal import EXIT_ERROR, err, out, print_answer, print_json, reporting
from vecsearch.display import visible
from vecsearch.types import counted

app = typer.Typer()


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch get notes.vs meetings/2024-03.md",
        "vecsearch get papers.vs 1 2 3 --columns title,year --csv",
    ),
)
def get(
    folder: Folder,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Ids of documents.", show_default=False),
    ] = None,
    ids_file: IdsFile = None,
    columns: Columns = None,
    version: Version = None,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: Table = False,
    debug: Debug = False,
) -> None:
    """Show documents by id.

    Exit code 1 if one is not there.
    """
    if not ids and ids_file is None:
        raise typer.BadParameter("give an id, or --ids with a file of them", param_hint="'ID'")
    form = format_of(as_json, as_csv, as_table)
    with reporting(debug), open_for(folder, version) as collection:
        wanted = ids_of(collection, ids, ids_file) or []
        names = names_in(columns)
        found = collection.get(wanted, names)
        missing = [each for each, document in zip(wanted, found, strict=True) if document is None]
        documents = [document for document in found if document is not None]
        if form is Format.JSON:
            print_json({"documents": documents, "missing": missing})
        elif documents:
            print_documents(
                form, documents, names or list(documents[0]), collection.info().text_columns
            )
        for each in missing:
            err.print(f"no document has the id {visible(str(each))}", soft_wrap=True)
        if missing:
            raise typer.Exit(EXIT_ERROR)


@app.command(
    "list",
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch list notes.vs",
        'vecsearch list papers.vs --where "year > 2000" --columns id,title -k 100',
    ),
)
def list_documents(
    folder: Folder,
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    columns: Columns = None,
    k: Annotated[
        int, typer.Option("-k", "--limit", metavar="NUMBER", help="How many documents to show.")
    ] = 20,
    version: Version = None,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: Table = False,
    debug: Debug = False,
) -> None:
    """List documents, in the order in which they were added."""
    form = format_of(as_json, as_csv, as_table)
    with reporting(debug), open_for(folder, version) as collection:
        info = collection.info()
        chosen = ids_of(collection, one_id, ids)
        names = names_in(columns)
        documents = collection.head(k, where=where, ids=chosen, columns=names)
        total = collection.count(where, ids=chosen)
        if form is Format.JSON:
            print_json({"documents": documents, "total": total})
            return
        if names is None:
            names = list(documents[0]) if documents else [info.id_column]
            if form is not Format.CSV:
                from vecsearch.query.hits_display import FOR_PROGRAMS

                names = [name for name in names if name not in FOR_PROGRAMS]
        if form is Format.CSV or documents:
            shape = Format.CSV if form is Format.CSV else Format.TABLE
            print_documents(shape, documents, names, info.text_columns)
        if form is not Format.CSV and (total > len(documents) or not documents):
            more = f"{len(documents):,} of {counted(total, 'document')}; -k shows more"
            out.print(more if documents else "no document matches", style="dim")


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples("vecsearch count notes.vs", 'vecsearch count papers.vs --where "year > 2000"'),
)
def count(
    folder: Folder,
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print the number of documents, or of those that match a filter."""
    with reporting(debug), open_for(folder, version) as collection:
        found = collection.count(where, ids=ids_of(collection, one_id, ids), timeout=timeout)
        print_answer(as_json, {"documents": found}, str(found))
