"""The command that searches a collection."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecsearch.cli.options import (
    START,
    Columns,
    Csv,
    Debug,
    Exact,
    Folder,
    IdsFile,
    Json,
    Limit,
    OneId,
    Recall,
    Table,
    Timeout,
    Version,
    Where,
    examples,
    ids_of,
    names_in,
    open_for,
)
from vecsearch.cli.questions import read_questions, vector_of
from vecsearch.cli.tables import (
    Format,
    format_of,
    print_hit_lines,
    print_hits,
    print_hits_csv,
)
from vecsearch.cli.terminal import out, print_json, reporting

if TYPE_CHECKING:
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
        texts, names = info.text_columns, names_in(columns or None)
        chosen = ids_of(collection, one_id, ids)

        def find(questions: list[str]) -> list[Hits]:
            return collection.search_batch(
                [text if texts else vector_of(text) for text in questions],
                k,
                where=where,
                ids=chosen,
                recall=recall,
                exact=exact,
                passages=passages,
                timeout=timeout,
            )

        def show(key: str, text: str, hits: Hits, number: int) -> None:
            if form is Format.JSON:
                print_json(_as_json(key, text, hits, names, info.id_column))
            elif form is Format.CSV:
                asked = (key, text) if question is None else None
                print_hits_csv(hits, names, asked, head=number == 0)
            elif form is Format.TABLE:
                print_hit_lines(hits, names)
            else:
                print_hits(hits, [name for name in names or [] if name not in texts])
            if plan and form in (Format.LIST, Format.TABLE):
                out.print(str(hits.plan), style="dim", soft_wrap=True)

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


def _as_json(
    key: str, text: str, hits: Hits, columns: list[str] | None, id_column: str
) -> dict[str, Any]:
    """One answer: rank, score and id of each hit, and the wanted columns (None: all but vector)."""
    names = None if columns is None else list(dict.fromkeys([id_column, *columns]))
    return {
        "query_id": key,
        "query": text,
        "plan": hits.plan.to_dict(),
        "hits": hits.to_list(names),
    }
