"""The command that searches a collection."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecsearch.cli.options import (
    Columns,
    Debug,
    Exact,
    Folder,
    IdsFile,
    Json,
    OneId,
    Recall,
    Timeout,
    Version,
    Where,
    ids_of,
    names_in,
    open_for,
)
from vecsearch.cli.questions import read_questions, vector_of
from vecsearch.cli.terminal import out, print_hits, print_json, reporting

if TYPE_CHECKING:
    from vecsearch.query.results import Hits

app = typer.Typer()


class SearchMode(StrEnum):
    """How a collection is searched."""

    VECTOR = "vector"
    TEXT = "text"
    HYBRID = "hybrid"


@app.command(rich_help_panel="Search")
def search(
    folder: Folder,
    question: Annotated[
        str | None,
        typer.Argument(metavar="QUESTION", help="What to look for.", show_default=False),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many documents to find.")] = 10,
    mode: Annotated[
        SearchMode, typer.Option(help="Search by vectors, by words, or by both.")
    ] = SearchMode.VECTOR,
    using: Annotated[
        list[str] | None,
        typer.Option(help='A column to search by words, or "title^3" to weight it. Repeatable.'),
    ] = None,
    fusion: Annotated[
        str | None, typer.Option(help="How hybrid search makes one list: weighted, rrf or dbsf.")
    ] = None,
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    recall: Recall = None,
    exact: Exact = False,
    passages: Annotated[
        bool, typer.Option("--passages", help="Find passages, not whole documents.")
    ] = False,
    columns: Columns = None,
    plan: Annotated[bool, typer.Option("--plan", help="Explain how the search was done.")] = False,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="File of many questions: .jsonl with id and text, or a text file with one a line."
        ),
    ] = None,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the documents most similar to a question."""
    if (question is None) == (queries is None):
        raise typer.BadParameter(
            "give a question, or --queries with a file of them", param_hint="'QUESTION'"
        )
    if question is not None and not question.strip():
        raise typer.BadParameter("the question is empty", param_hint="'QUESTION'")
    with reporting(debug), open_for(folder, version) as collection:
        text_columns = collection.info().text_columns
        questions = read_questions(queries) if queries else {"1": str(question)}
        found = collection.search_batch(
            [
                text if text_columns or mode is SearchMode.TEXT else vector_of(text)
                for text in questions.values()
            ],
            k,
            mode=mode.value,
            using=using or None,
            fusion=fusion,
            where=where,
            ids=ids_of(collection, one_id, ids),
            recall=recall,
            exact=exact,
            passages=passages,
            timeout=timeout,
        )
        names = names_in(columns or None)
        for (key, text), hits in zip(questions.items(), found, strict=True):
            if as_json:
                id_column = collection.info().id_column
                print_json(_as_json(key, text, hits, names, id_column))
                continue
            if queries:
                out.print(f"\n{key}  {text}", style="bold")
            shown_columns = [name for name in names or [] if name not in text_columns]
            print_hits(hits, shown_columns, text_columns, text)
            if plan:
                out.print(str(hits.plan), style="dim", soft_wrap=True)


def _as_json(
    key: str, text: str, hits: Hits, columns: list[str] | None, id_column: str
) -> dict[str, Any]:
    """One answer: rank, score and id of each hit, and the wanted columns (None: all but vector)."""
    names = None if columns is None else list(dict.fromkeys([id_column, *columns]))
    rows = [hit.to_dict(names) for hit in hits]
    return {"query_id": key, "query": text, "plan": str(hits.plan), "hits": rows}
