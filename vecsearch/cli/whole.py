"""Commands about a whole collection: neighbors, duplicates, clusters, outliers, classes, maps."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecsearch.cli.options import (
    WHOLE,
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
    examples,
    id_of,
    ids_of,
    open_for,
)
from vecsearch.cli.tables import print_table
from vecsearch.cli.terminal import out, print_json, reporting

if TYPE_CHECKING:
    from vecsearch.analysis.tables import TableReport

app = typer.Typer()
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write the whole table: .parquet, .csv or .jsonl."),
]
Most = Annotated[int, typer.Option(help="How many rows of the table to show.")]
Passages = Annotated[
    bool, typer.Option("--passages", help="Look at passages, not whole documents.")
]
Seed = Annotated[int, typer.Option(help="Seed of what is chosen at random.")]


@app.command(
    rich_help_panel=WHOLE, epilog=examples("vecsearch neighbors notes.vs -k 5 -o edges.parquet")
)
def neighbors(
    folder: Folder,
    k: Annotated[int, typer.Option("-k", help="How many neighbors of each document.")] = 10,
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    recall: Recall = None,
    exact: Exact = False,
    passages: Passages = False,
    output: Output = None,
    most: Most = 20,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the nearest neighbors of each document, as a table of edges."""
    with reporting(debug), open_for(folder, version) as collection:
        found = collection.neighbors(
            k,
            where=where,
            ids=ids_of(collection, one_id, ids),
            recall=recall,
            exact=exact,
            passages=passages,
            timeout=timeout,
        )
        _print(found, output, most, as_json=as_json)


@app.command(rich_help_panel=WHOLE, epilog=examples("vecsearch duplicates notes.vs 0.95"))
def duplicates(
    folder: Folder,
    threshold: Annotated[
        float, typer.Argument(help="The least score of a pair, such as 0.95.", show_default=False)
    ],
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    recall: Recall = None,
    exact: Exact = False,
    passages: Passages = False,
    output: Output = None,
    most: Most = 20,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find pairs of documents that are nearly the same."""
    with reporting(debug), open_for(folder, version) as collection:
        found = collection.duplicates(
            threshold,
            where=where,
            ids=ids_of(collection, one_id, ids),
            recall=recall,
            exact=exact,
            passages=passages,
            timeout=timeout,
        )
        _print(found, output, most, as_json=as_json)


@app.command(rich_help_panel=WHOLE, epilog=examples("vecsearch join old.vs new.vs -k 1"))
def join(
    folder: Folder,
    other: Annotated[
        Path, typer.Argument(metavar="OTHER", help="The other collection.", show_default=False)
    ],
    k: Annotated[int, typer.Option("-k", help="How many partners of each document.")] = 1,
    where: Where = None,
    other_where: Annotated[
        str | None, typer.Option(help="SQL filter of the other collection.")
    ] = None,
    min_score: Annotated[float | None, typer.Option(help="The lowest score of a pair.")] = None,
    recall: Recall = None,
    exact: Exact = False,
    output: Output = None,
    most: Most = 20,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find for each document the nearest of another collection."""
    with reporting(debug), open_for(folder, version) as collection, open_for(other) as right:
        found = collection.join(
            right,
            k,
            where=where,
            other_where=other_where,
            min_score=min_score,
            recall=recall,
            exact=exact,
            timeout=timeout,
        )
        _print(found, output, most, as_json=as_json)


@app.command(rich_help_panel=WHOLE, epilog=examples("vecsearch outliers notes.vs --most 10"))
def outliers(
    folder: Folder,
    k: Annotated[int, typer.Option("-k", help="How many neighbors to compare with.")] = 10,
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    recall: Recall = None,
    exact: Exact = False,
    passages: Passages = False,
    output: Output = None,
    most: Most = 20,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the documents that are far from all others."""
    with reporting(debug), open_for(folder, version) as collection:
        found = collection.outliers(
            k,
            where=where,
            ids=ids_of(collection, one_id, ids),
            recall=recall,
            exact=exact,
            passages=passages,
            timeout=timeout,
        )
        _print(found, output, most, as_json=as_json)


@app.command(
    rich_help_panel=WHOLE,
    epilog=examples(
        "vecsearch cluster notes.vs --clusters 8",
        "vecsearch cluster papers.vs --links citations.csv",
    ),
)
def cluster(
    folder: Folder,
    clusters: Annotated[
        int | None, typer.Option(help="How many clusters. Default: as many as are separated best.")
    ] = None,
    links: Annotated[
        Path | None,
        typer.Option(
            help="Links between documents, a file with the columns source, target and perhaps "
            "weight: clusters are communities of links and near vectors (extra: graphs)."
        ),
    ] = None,
    resolution: Annotated[
        float | None, typer.Option(help="With --links: above 1 gives more clusters.")
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(help="With --links: the weight of near vectors, in parts of the links'."),
    ] = None,
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    seed: Seed = 0,
    passages: Passages = False,
    output: Output = None,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Put documents into clusters, with labels from their own words."""
    with reporting(debug), open_for(folder, version) as collection:
        found = collection.cluster(
            clusters,
            links=links,
            resolution=resolution,
            share=share,
            where=where,
            ids=ids_of(collection, one_id, ids),
            seed=seed,
            passages=passages,
            timeout=timeout,
        )
        _print(found, output, 0, as_json=as_json)


@app.command(
    rich_help_panel=WHOLE,
    epilog=examples(
        "vecsearch classify notes.vs topic",
        'vecsearch classify notes.vs topic --text "How do plants make sugar?"',
    ),
)
def classify(
    folder: Folder,
    labels: Annotated[
        str,
        typer.Argument(
            metavar="LABELS",
            help="The column of the labels, or a CSV file of id,label by line.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Only this model: neighbors, logistic, tf-idf or logistic+tf-idf. Default: the "
            "most accurate on held-out documents.",
        ),
    ] = None,
    neighbors: Annotated[int, typer.Option(help="How many labeled neighbors vote.")] = 15,
    text: Annotated[
        list[str] | None,
        typer.Option(help="Label this text, which is not in the collection. May be repeated."),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            help="Label the texts of a file: a .txt file with a text in each line, or whatever "
            "`vecsearch ingest` reads."
        ),
    ] = None,
    text_column: Annotated[str, typer.Option(help="The column of --texts with the texts.")] = (
        "text"
    ),
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    seed: Seed = 0,
    output: Output = None,
    most: Most = 20,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Learn labels from the documents that have one, and predict those of all, or of new texts."""
    new: list[Any] = list(text or [])
    with reporting(debug), open_for(folder, version) as collection:
        if texts is not None:
            from vecsearch.training.data import as_texts

            new += as_texts(texts, text_column=text_column)
        wanted: Any = labels
        if labels not in collection.info().columns and Path(labels).is_file():
            with Path(labels).open(encoding="utf-8-sig", newline="") as lines:
                rows = [row for row in csv.reader(lines) if row]
            if any(len(row) != 2 for row in rows):
                raise typer.BadParameter(f"{labels} must have lines of id,label")
            wanted = {id_of(collection, which.strip()): label.strip() for which, label in rows}
        found = collection.classify(
            wanted,
            model=model,  # type: ignore[arg-type]
            neighbors=neighbors,
            where=where,
            ids=ids_of(collection, one_id, ids),
            seed=seed,
            timeout=timeout,
        )
        confusion = found.confusion.to_pylist()
        if not new:
            _print(found, output, most, as_json=as_json, confusion=confusion)
            return
        predictions = found.predict(new)
        if not as_json:
            out.print(str(found), soft_wrap=True)
        _print(predictions, output, most, as_json=as_json, model=str(found), confusion=confusion)


@app.command(
    "map",
    rich_help_panel=WHOLE,
    epilog=examples("vecsearch map notes.vs --picture map.png --color topic"),
)
def map_(
    folder: Folder,
    picture: Annotated[Path | None, typer.Option(help="Draw the map: .png, .svg or .pdf.")] = None,
    color: Annotated[str | None, typer.Option(help="A column that colors the points.")] = None,
    title: Annotated[str | None, typer.Option(help="The title of the picture.")] = None,
    font: Annotated[
        Path | None, typer.Option(help="Font file for the labels, such as of Chinese.")
    ] = None,
    atlas: Annotated[
        Path | None, typer.Option(help="Write the .parquet file that embedding-atlas opens.")
    ] = None,
    method: Annotated[str, typer.Option(help="pca, or umap (extra: map).")] = "pca",
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    seed: Seed = 0,
    passages: Passages = False,
    output: Output = None,
    most: Most = 20,
    version: Version = None,
    timeout: Timeout = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Place documents in the plane, near ones near each other; draw them."""
    with reporting(debug), open_for(folder, version) as collection:
        found = collection.map(
            method,  # type: ignore[arg-type]
            where=where,
            ids=ids_of(collection, one_id, ids),
            seed=seed,
            passages=passages,
            timeout=timeout,
        )
        if picture is not None:
            found.picture(picture, color=color, title=title, font=font)
        if atlas is not None:
            found.atlas(atlas)
        written = picture is not None or atlas is not None
        _print(found, output, 0 if written else most, as_json=as_json)


def _print(
    found: TableReport, output: Path | None, most: int, *, as_json: bool, **more: Any
) -> None:
    """The report and the beginning of the table, or all of it as JSON or in a file."""
    if output is not None:
        found.write(output)
    if as_json:
        rows = [] if output is not None else found.to_pylist()
        print_json({"report": str(found), "rows": rows, **more})
        return
    out.print(str(found), soft_wrap=True)
    if output is not None or not most:
        return
    print_table(found.column_names, [list(row.values()) for row in found.head(most)])
    if found.num_rows > most:
        out.print(f"and {found.num_rows - most:,} more rows (--output writes all)", style="dim")
