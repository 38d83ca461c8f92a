"""The command that searches a collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecsearch.cli.options import (
    Columns,
    Debug,
    Diversity,
    Exact,
    Exclude,
    Folder,
    GroupBy,
    GroupSize,
    IdsFile,
    Json,
    MinScore,
    OneId,
    OrderBy,
    Passages,
    Recall,
    ShowPlan,
    Timeout,
    Version,
    Where,
    ids_of,
    names_in,
    open_for,
)
from vecsearch.cli.questions import read_questions, vector_of
from vecsearch.cli.terminal import out, print_hits, print_json, reporting
from vecsearch.types import counted

if TYPE_CHECKING:
    from vecsearch.collection import Collection
    from vecsearch.query.results import Hits

app = typer.Typer()


@app.command(rich_help_panel="Search")
def search(
    folder: Folder,
    question: Annotated[
        str | None,
        typer.Argument(metavar="QUESTION", help="What to look for.", show_default=False),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many documents to find.")] = 10,
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    recall: Recall = None,
    exact: Exact = False,
    passages: Passages = False,
    exclude: Exclude = None,
    min_score: MinScore = None,
    diversity: Diversity = 0.0,
    group_by: GroupBy = None,
    group_size: GroupSize = 1,
    order_by: OrderBy = None,
    page: Annotated[
        int | None,
        typer.Option(help="Show this page of all matches, from 1; -k is the size of a page."),
    ] = None,
    columns: Columns = None,
    plan: ShowPlan = False,
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
        asked = [text if text_columns else vector_of(text) for text in questions.values()]
        options: dict[str, Any] = {
            "where": where,
            "ids": ids_of(collection, one_id, ids),
            "exclude": ids_of(collection, exclude, None),
            "min_score": min_score,
            "group_by": group_by,
            "group_size": group_size,
            "order_by": order_by or None,
            "recall": recall,
            "exact": exact,
            "passages": passages,
            "timeout": timeout,
        }
        if page is None:
            found = collection.search_batch(asked, k, diversity=diversity, **options)
        else:
            check_page(page, diversity)
            found = [page_of(collection.pages(each, k, **options), page) for each in asked]
        for (key, text), hits in zip(questions.items(), found, strict=True):
            if queries and not as_json:
                out.print(f"\n{key}  {text}", style="bold")
            print_answers(collection, key, text, hits, columns, as_json=as_json, plan=plan)


def check_page(page: int, diversity: float) -> None:
    """Raises BadParameter for a page that there cannot be."""
    if page < 1:
        raise typer.BadParameter("pages are counted from 1", param_hint="--page")
    if diversity:
        raise typer.BadParameter(
            "--diversity chooses among the best hits, and pages hold all of them",
            param_hint="--page",
        )


def page_of(pages: Iterator[Hits], number: int) -> Hits:
    """One page, from 1. Raises InvalidInputError behind the last one."""
    from vecsearch.errors import InvalidInputError

    count = 0
    for count, hits in enumerate(pages, 1):
        if count == number:
            return hits
    raise InvalidInputError(f"page is {number}, and there are {counted(count, 'page')}")


def print_answers(
    collection: Collection,
    key: str,
    text: str,
    hits: Hits,
    columns: str | None,
    *,
    as_json: bool,
    plan: bool,
) -> None:
    """One answer as JSON, or as a table; with a table for each group."""
    info, names = collection.info(), names_in(columns or None)
    if as_json:
        print_json(_as_json(key, text, hits, names, info.id_column))
        return
    shown_columns = [name for name in names or [] if name not in info.text_columns]
    for group in hits.groups:
        out.print(f"\n{hits.group_by}: {group.value}", style="bold", soft_wrap=True)
        print_hits(group.hits, shown_columns, info.text_columns, text)
    if not hits.groups:
        print_hits(hits, shown_columns, info.text_columns, text)
    if plan:
        out.print(str(hits.plan), style="dim", soft_wrap=True)


def _as_json(
    key: str, text: str, hits: Hits, columns: list[str] | None, id_column: str
) -> dict[str, Any]:
    """One answer: rank, score and id of each hit, and the wanted columns (None: all but vector)."""
    names = None if columns is None else list(dict.fromkeys([id_column, *columns]))
    rows = [hit.to_dict(names) for hit in hits]
    answer = {"query_id": key, "query": text, "plan": str(hits.plan), "hits": rows}
    if hits.group_by is not None:
        answer["groups"] = [{"value": group.value, "ids": group.hits.ids} for group in hits.groups]
    return answer
