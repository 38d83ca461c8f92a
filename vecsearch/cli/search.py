"""The command that searches a collection."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecsearch.cli.options import (
    START,
    BesideWords,
    Columns,
    Csv,
    Debug,
    Diversity,
    Exact,
    Exclude,
    Explain,
    Folder,
    GroupBy,
    GroupSize,
    HowFused,
    IdsFile,
    InModeOrFitting,
    Json,
    Limit,
    MinScore,
    OneId,
    OrderBy,
    Passages,
    Recall,
    Rerank,
    RerankTop,
    SearchMode,
    ShowPlan,
    Table,
    Timeout,
    Using,
    Version,
    Where,
    examples,
    ids_of,
    names_in,
    open_for,
)
from vecsearch.cli.questions import (
    is_json_list,
    numbers_of,
    read_questions,
    vector_of,
    with_words_if_unread,
)
from vecsearch.cli.tables import (
    Format,
    format_of,
    print_hit_lines,
    print_hits,
    print_hits_csv,
)
from vecsearch.cli.terminal import out, print_json, reporting
from vecsearch.types import counted

if TYPE_CHECKING:
    from vecsearch.collection import Collection
    from vecsearch.query.hit import Hit
    from vecsearch.query.results import Hits

PROMPT = "question> "
app = typer.Typer()


@app.command(
    rich_help_panel=START,
    epilog=examples(
        'vecsearch search notes.vs "what did we decide about the budget" -k 3',
        'vecsearch search notes.vs "light" --where "year > 2000" --columns year',
        "vecsearch search notes.vs",
        'vecsearch search notes.vs "budget" --csv > found.csv',
        'vecsearch search notes.vs "who pays for the budget" --rerank maxsim',
    ),
)
def search(
    folder: Folder,
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION",
            help="What to look for. Without it, questions are read line by line.",
            show_default=False,
        ),
    ] = None,
    k: Limit = 10,
    mode: InModeOrFitting = None,
    using: Using = None,
    vector: BesideWords = None,
    fusion: HowFused = None,
    rerank: Rerank = None,
    rerank_top: RerankTop = None,
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
    explain: Explain = False,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of many questions: .jsonl with id and text, or a text file with one a line.",
        ),
    ] = None,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: Table = False,
    debug: Debug = False,
) -> None:
    """Find the documents most similar to a question.

    Without a question it asks for one after another, until an empty line or Ctrl-D. The model is
    loaded once.
    """
    if question is not None and queries is not None:
        raise typer.BadParameter(
            "give a question, or --queries with a file of them", param_hint="'QUESTION'"
        )
    if question is not None and not question.strip():
        raise typer.BadParameter("the question is empty", param_hint="'QUESTION'")
    form = format_of(as_json, as_csv, as_table)
    typed: Iterator[str] = iter(())
    if question is None and queries is None:
        typed = _typed()
        if not sys.stdin.isatty():
            first = next(typed, None)
            if first is None:
                raise typer.BadParameter("give a question", param_hint="'QUESTION'")
            typed = chain([first], typed)
    with reporting(debug), open_for(folder, version) as collection:
        info = collection.info()
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

        adds_words = (
            mode is None
            and bool(info.full_text and info.text_columns)
            and (using, vector, fusion, min_score) == (None, None, None, None)
        )
        mode = mode or SearchMode.VECTOR
        ways: dict[str, Any] = {"using": using or None, "fusion": fusion}
        beside = None if vector is None else numbers_of(vector, "--vector")
        if beside is None and mode is SearchMode.HYBRID and not info.text_columns:
            raise typer.BadParameter(
                "the collection has no model for the question: give the vector of a hybrid search",
                param_hint="--vector",
            )

        def find(questions: list[str]) -> list[Hits]:
            if adds_words:
                return with_words_if_unread(ask, questions)
            return ask(questions, {"mode": mode.value})

        def ask(questions: list[str], of_mode: dict[str, Any]) -> list[Hits]:
            how = {**ways, **of_mode}
            by_text = info.text_columns or mode is SearchMode.TEXT or using or beside is not None
            asked: list[Any] = [text if by_text else vector_of(text) for text in questions]
            if using and mode is SearchMode.VECTOR and beside is None:  # a text, or numbers
                asked = [json.loads(text) if is_json_list(text) else text for text in questions]
            if page is None:
                given: dict[str, Any] = {"queries": asked}
                if beside is not None:
                    given = {"texts": asked, "vectors": [beside] * len(asked)}
                return collection.search_batch(
                    **given,
                    k=k,
                    diversity=diversity,
                    rerank=rerank,
                    rerank_top=rerank_top,
                    **how,
                    **options,
                )
            check_page(page, diversity, rerank)
            found = []
            for each in asked:
                given = {"query": each} if beside is None else {"text": each, "vector": beside}
                pages = collection.pages(**given, size=k, **how, **options)
                found.append(page_of(pages, page))
            return found

        def show(key: str, text: str, hits: Hits, number: int) -> None:
            if form is Format.CSV:
                asked = (key, text) if question is None else None
                print_hits_csv(hits, names_in(columns or None), asked, head=number == 0)
            else:
                print_answers(
                    collection, key, text, hits, columns, form=form, plan=plan, explain=explain
                )

        if question is None and queries is None:
            for number, text in enumerate(typed):
                show(str(number + 1), text, find([text])[0], number)
            return
        questions = read_questions(queries) if queries else {"1": str(question)}
        found = find(list(questions.values()))
        for number, ((key, text), hits) in enumerate(zip(questions.items(), found, strict=True)):
            if queries and form in (Format.LIST, Format.TABLE):
                out.print(f"\n{key}  {text}", style="bold")
            show(key, text, hits, number)


def check_page(page: int, diversity: float, rerank: str | None = None) -> None:
    """Raises BadParameter for a page that there cannot be."""
    if page < 1:
        raise typer.BadParameter("pages are counted from 1", param_hint="--page")
    if diversity:
        raise typer.BadParameter(
            "--diversity chooses among the best hits, and pages hold all of them",
            param_hint="--page",
        )
    if rerank is not None:
        raise typer.BadParameter(
            "--rerank scores the best hits again, and pages hold all of them",
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
    form: Format,
    plan: bool,
    explain: bool = False,
) -> None:
    """One answer as JSON or CSV, or as a list or table; with one of these for each group."""
    info, names = collection.info(), names_in(columns or None)
    if form is Format.JSON:
        answer = _as_json(key, text, hits, names, info.id_column)
        if explain:
            answer["explanations"] = [hit.explain() for hit in hits]
        print_json(answer)
        return
    if form is Format.CSV:
        print_hits_csv(hits, names, None, head=True)
        return

    def show(found: Hits) -> None:
        if form is Format.TABLE:
            print_hit_lines(found, names)
        else:
            print_hits(found, [name for name in names or [] if name not in info.text_columns])

    for group in hits.groups:
        out.print(f"\n{hits.group_by}: {group.value}", style="bold", soft_wrap=True)
        show(group.hits)
    if not hits.groups:
        show(hits)
    for hit in hits if explain else ():
        out.print(f"\n{hit.explain()}", soft_wrap=True)
    if plan:
        out.print(str(hits.plan), style="dim", soft_wrap=True)


def _typed() -> Iterator[str]:
    """Questions as they are typed, until an empty line or the end of the input."""
    is_terminal = sys.stdin.isatty()
    if is_terminal and sys.stdout.isatty():
        import readline  # noqa: F401  lines can be edited, and earlier ones come back
    while True:
        try:
            if is_terminal and sys.stdout.isatty():
                line = input(PROMPT)
            else:
                if is_terminal:
                    sys.stderr.write(PROMPT)
                    sys.stderr.flush()
                line = sys.stdin.readline()
                if not line:
                    return
        except EOFError:
            out.print("")
            return
        if not line.strip():
            return
        yield line.strip()


def _with_place(hit: Hit, row: dict[str, Any]) -> dict[str, Any]:
    """A hit, and the page or line on which a passage begins unless a column is called so."""
    if hit.span is not None:
        for name, number in (("page", hit.page), ("line", hit.line)):
            if number is not None:
                row.setdefault(name, number)
    return row


def _as_json(
    key: str, text: str, hits: Hits, columns: list[str] | None, id_column: str
) -> dict[str, Any]:
    """One answer: rank, score and id of each hit, and the wanted columns (None: all but vector)."""
    names = None if columns is None else list(dict.fromkeys([id_column, *columns]))
    rows = [_with_place(hit, row) for hit, row in zip(hits, hits.to_list(names), strict=True)]
    answer = {"query_id": key, "query": text, "plan": hits.plan.to_dict(), "hits": rows}
    if hits.group_by is not None:
        answer["groups"] = [{"value": group.value, "ids": group.hits.ids} for group in hits.groups]
    return answer
