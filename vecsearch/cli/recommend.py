"""Commands that recommend documents and count their values."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecsearch.cli.options import (
    DOCUMENTS,
    START,
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
    IdsFile,
    Json,
    Limit,
    MinScore,
    OneId,
    OrderBy,
    Passages,
    Recall,
    ShowPlan,
    Table,
    Timeout,
    Version,
    Where,
    examples,
    id_of,
    ids_of,
    open_for,
)
from vecsearch.cli.questions import vector_of
from vecsearch.cli.search import print_answers
from vecsearch.cli.tables import Format, format_of, print_csv, print_table
from vecsearch.cli.terminal import out, print_json, reporting

if TYPE_CHECKING:
    from vecsearch.collection import Collection

app = typer.Typer()
Like = Annotated[
    list[str] | None,
    typer.Option("--like", help="What is wanted: an id, a text, or [numbers]. Repeatable."),
]
Unlike = Annotated[
    list[str] | None,
    typer.Option("--unlike", help="What is not wanted, in the same way. Repeatable."),
]
ShowSeen = Annotated[
    bool, typer.Option("--show-seen", help="Also find the documents of the examples.")
]


@app.command(
    rich_help_panel=START,
    epilog=examples(
        "vecsearch similar notes.vs plan.md -k 5",
    ),
)
def similar(
    folder: Folder,
    which: Annotated[str, typer.Argument(metavar="ID", help="A document.", show_default=False)],
    k: Limit = 10,
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    exclude: Exclude = None,
    min_score: MinScore = None,
    diversity: Diversity = 0.0,
    group_by: GroupBy = None,
    group_size: GroupSize = 1,
    order_by: OrderBy = None,
    recall: Recall = None,
    exact: Exact = False,
    passages: Passages = False,
    columns: Columns = None,
    plan: ShowPlan = False,
    explain: Explain = False,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: Table = False,
    debug: Debug = False,
) -> None:
    """Find the documents most similar to a document."""
    with reporting(debug), open_for(folder, version) as collection:
        hits = collection.similar(
            id_of(collection, which),
            k,
            where=where,
            ids=ids_of(collection, one_id, ids),
            exclude=ids_of(collection, exclude, None),
            min_score=min_score,
            diversity=diversity,
            group_by=group_by,
            group_size=group_size,
            order_by=order_by or None,
            recall=recall,
            exact=exact,
            passages=passages,
            timeout=timeout,
        )
        print_answers(
            collection,
            which,
            "",
            hits,
            columns,
            form=format_of(as_json, as_csv, as_table),
            plan=plan,
            explain=explain,
        )


@app.command(
    rich_help_panel=START,
    epilog=examples(
        "vecsearch recommend notes.vs --like plan.md --like budget.md --unlike draft.md",
    ),
)
def recommend(
    folder: Folder,
    like: Like = None,
    unlike: Unlike = None,
    history: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="CSV file of what a user had: id, or id,weight, or id,weight,age, by line.",
        ),
    ] = None,
    strategy: Annotated[str, typer.Option(help="average, best_score or sum_scores.")] = "average",
    half_life: Annotated[
        float, typer.Option(help="The age at which a weight of the history has halved.")
    ] = 30.0,
    show_seen: ShowSeen = False,
    k: Limit = 10,
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    exclude: Exclude = None,
    min_score: MinScore = None,
    diversity: Diversity = 0.0,
    group_by: GroupBy = None,
    group_size: GroupSize = 1,
    order_by: OrderBy = None,
    recall: Recall = None,
    exact: Exact = False,
    passages: Passages = False,
    columns: Columns = None,
    plan: ShowPlan = False,
    explain: Explain = False,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: Table = False,
    debug: Debug = False,
) -> None:
    """Find more like some documents, texts or a user's history, and less like others."""
    with reporting(debug), open_for(folder, version) as collection:
        hits = collection.recommend(
            [_example(collection, text) for text in like or []],
            [_example(collection, text) for text in unlike or []],
            history=None if history is None else _history(collection, history),
            strategy=strategy,  # type: ignore[arg-type]
            half_life=half_life,
            exclude_seen=not show_seen,
            k=k,
            where=where,
            ids=ids_of(collection, one_id, ids),
            exclude=ids_of(collection, exclude, None),
            min_score=min_score,
            diversity=diversity,
            group_by=group_by,
            group_size=group_size,
            order_by=order_by or None,
            recall=recall,
            exact=exact,
            passages=passages,
            timeout=timeout,
        )
        print_answers(
            collection,
            "1",
            "",
            hits,
            columns,
            form=format_of(as_json, as_csv, as_table),
            plan=plan,
            explain=explain,
        )


@app.command(
    rich_help_panel=START,
    epilog=examples(
        'vecsearch discover notes.vs "budget" --like plan.md --unlike draft.md',
    ),
)
def discover(
    folder: Folder,
    target: Annotated[
        str | None, typer.Argument(help="What to look for: an id, a text, or [numbers].")
    ] = None,
    like: Like = None,
    unlike: Unlike = None,
    show_seen: ShowSeen = False,
    k: Limit = 10,
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    exclude: Exclude = None,
    min_score: MinScore = None,
    diversity: Diversity = 0.0,
    group_by: GroupBy = None,
    group_size: GroupSize = 1,
    order_by: OrderBy = None,
    passages: Passages = False,
    columns: Columns = None,
    plan: ShowPlan = False,
    explain: Explain = False,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: Table = False,
    debug: Debug = False,
) -> None:
    """Find documents that are nearer to each --like than to its --unlike."""
    liked, unliked = like or [], unlike or []
    if len(liked) != len(unliked):
        raise typer.BadParameter(
            f"each --like needs an --unlike: there are {len(liked)} and {len(unliked)}"
        )
    with reporting(debug), open_for(folder, version) as collection:
        pairs = [
            (_example(collection, first), _example(collection, second))
            for first, second in zip(liked, unliked, strict=True)
        ]
        hits = collection.discover(
            None if target is None else _example(collection, target),
            pairs,
            exclude_seen=not show_seen,
            k=k,
            where=where,
            ids=ids_of(collection, one_id, ids),
            exclude=ids_of(collection, exclude, None),
            min_score=min_score,
            diversity=diversity,
            group_by=group_by,
            group_size=group_size,
            order_by=order_by or None,
            passages=passages,
            timeout=timeout,
        )
        print_answers(
            collection,
            "1",
            target or "",
            hits,
            columns,
            form=format_of(as_json, as_csv, as_table),
            plan=plan,
        )


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch facets papers.vs year,lang",
        "vecsearch facets papers.vs year --bins 10",
    ),
)
def facets(
    folder: Folder,
    columns: Annotated[
        str,
        typer.Argument(help="Columns to count, separated by commas.", show_default=False),
    ],
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    exclude: Exclude = None,
    query: Annotated[
        str | None, typer.Option(help="Count only what scores --min-score with this.")
    ] = None,
    min_score: MinScore = None,
    bins: Annotated[
        str | None,
        typer.Option(
            help="Count ranges: a number of bins, edges separated by commas, or for dates a "
            "period such as month."
        ),
    ] = None,
    most: Annotated[int, typer.Option(help="How many values of a column to show.")] = 20,
    passages: Annotated[
        bool, typer.Option("--passages", help="Count passages, not whole documents.")
    ] = False,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    as_csv: Csv = False,
    debug: Debug = False,
) -> None:
    """Count the documents that have each value of some columns."""
    names = [name.strip() for name in columns.split(",")]
    with reporting(debug), open_for(folder, version) as collection:
        asked: Any = query
        if query is not None and not collection.info().text_columns:
            asked = vector_of(query)
        found = collection.facets(
            names,
            where=where,
            ids=ids_of(collection, one_id, ids),
            exclude=ids_of(collection, exclude, None),
            query=asked,
            min_score=min_score,
            bins=_bins(bins),
            passages=passages,
            timeout=timeout,
        )
        if format_of(as_json, as_csv) is Format.CSV:
            for number, (name, table) in enumerate(found.items()):
                head = ["column", *table.column_names]
                rows = [[name, *row.values()] for row in table.to_pylist()]
                print_csv(None if number else head, rows)
            return
        if as_json:
            print_json({name: table.to_pylist() for name, table in found.items()})
            return
        for name, table in found.items():
            rows = [list(row.values()) for row in table.slice(0, most).to_pylist()]
            head = [name, *table.column_names[1:]]
            print_table(head, [["" if cell is None else cell for cell in row] for row in rows])
            if table.num_rows > most:
                out.print(f"and {table.num_rows - most:,} more", style="dim")


def _example(collection: Collection, text: str) -> Any:
    """An example: a vector in brackets, an id of the collection, or a text."""
    if text.lstrip().startswith("["):
        return {"vector": vector_of(text)}
    info = collection.info()
    if info.columns[info.id_column] == "int64" and text.lstrip("-").isdecimal():
        return {"id": int(text)}
    return text


def _history(collection: Collection, file: Path) -> list[tuple[Any, ...]]:
    """The lines of a history file."""
    entries: list[tuple[Any, ...]] = []
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for number, row in enumerate(csv.reader(lines), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            try:
                numbers = [float(cell) for cell in cells[1:]]
            except ValueError:
                numbers = [0.0] * 3
            if len(numbers) > 2:
                raise typer.BadParameter(
                    f"line {number} of {file} is {','.join(row)!r}; it must be id, id,weight or "
                    "id,weight,age",
                    param_hint="--history",
                )
            entries.append((id_of(collection, cells[0]), *numbers))
    return entries


def _bins(text: str | None) -> int | str | Sequence[Any] | None:
    """Bins as `facets` takes them."""
    if text is None:
        return None
    parts: list[Any] = [part.strip() for part in text.split(",")]
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        if len(parts) == 1:
            return text
        import datetime

        try:
            return [datetime.datetime.fromisoformat(part) for part in parts]
        except ValueError:
            raise typer.BadParameter(
                f"{text!r} is no number, no list of edges, and no period", param_hint="--bins"
            ) from None
    return int(numbers[0]) if len(parts) == 1 and numbers[0].is_integer() else numbers
