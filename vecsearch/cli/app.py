"""The command line. Each command opens a collection, calls one of its methods and shows the answer.

Heavy imports wait until a command runs, so that `vecsearch --help` answers at once. Exit codes: 0 done, 1 an error,
2 a command typed wrong, 130 interrupted.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecsearch.cli import evaluation, maintenance, models, recall
from vecsearch.cli.options import Columns, Debug, Folder, Json, Version, Where, open_for
from vecsearch.cli.questions import questions, read_queries, vector_of
from vecsearch.cli.terminal import (
    count,
    out,
    print_answer,
    print_fields,
    print_hits,
    print_json,
    print_table,
    reporting,
    shown_build,
    shown_bytes,
)
from vecsearch.types import CollectionInfo, IndexInfo, Metric, OnConflict

if TYPE_CHECKING:
    from vecsearch.collection import Collection
    from vecsearch.query.results import Hits

DEFAULT_EMBEDDER = "all-MiniLM-L6-v2"
app = typer.Typer(
    name="vecsearch",
    help="Vector similarity search for your own documents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(maintenance.app)
app.add_typer(evaluation.app)
app.add_typer(recall.app)
app.add_typer(models.app)


def main() -> None:
    """Entry point of the `vecsearch` command."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        out.print(f"vecsearch {version('vecsearch')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version of vecsearch and exit.",
        ),
    ] = False,
) -> None:
    """Vector similarity search for your own documents."""


@app.command()
def ingest(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            exists=True,
            help="Files (.parquet, .csv, .tsv, .jsonl, .arrow), or folders of .txt and .md files.",
            show_default=False,
        ),
    ],
    folder: Folder,
    embedder: Annotated[
        str | None,
        typer.Option(help=f"Model for a new collection; without it, {DEFAULT_EMBEDDER}."),
    ] = None,
    dim: Annotated[
        int | None, typer.Option(help="New collection of ready-made vectors: their dimension.")
    ] = None,
    metric: Annotated[
        Metric | None,
        typer.Option(help="How a new collection compares vectors; without it, cosine."),
    ] = None,
    chunk: Annotated[
        bool, typer.Option("--chunk", help="New collection: split long texts into passages.")
    ] = False,
    chunk_chars: Annotated[
        int | None, typer.Option(help="The same, with passages of at most so many characters.")
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="The data's column with the text.")
    ] = None,
    id_column: Annotated[str, typer.Option(help="The data's column with the ids.")] = "id",
    on_conflict: Annotated[
        OnConflict, typer.Option(help="What to do with an id that is there already.")
    ] = "error",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Add documents to a collection; a collection that is not there is made."""
    with reporting(debug):
        chunker = chunk_chars or chunk or None
        with _open_or_create(folder, embedder, dim, metric, chunker) as collection:
            done = collection.add(
                data, on_conflict=on_conflict, id_column=id_column, text_column=text_column
            )
            documents = len(collection)
        if as_json:
            print_json(done)
        else:
            out.print(
                f"{count(done.added, 'document')} added, {done.replaced:,} replaced, {done.skipped:,} skipped; "
                f"{folder} holds {documents:,} (version {done.version})"
            )


@app.command()
def build(
    folder: Folder,
    recipe: Annotated[
        str, typer.Option(help="A recipe's name, a .toml file, or a FAISS factory string.")
    ] = "auto",
    recall: Annotated[
        float | None, typer.Option(help="Recall to reach; without it, the collection's own target.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help='Memory the index may take, such as "2GB".')
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help='Questions to measure with, as for search, or "sampled"; else held-out rows.'
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the held-out rows and the build.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Build the index of a collection. Interrupted, it goes on where it was when it is run again."""
    with reporting(debug), open_for(folder) as collection:
        asked = questions(collection, queries)
        done = collection.build_index(
            recipe=recipe, recall=recall, memory=memory, queries=asked, seed=seed
        )
        print_answer(as_json, done, shown_build(done))


@app.command()
def bench(
    folder: Folder,
    recipes: Annotated[
        list[str] | None, typer.Argument(help="Recipes to compare.", show_default="four")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many rows to find.")] = 10,
    queries: Annotated[
        Path | None,
        typer.Option(help="Questions to measure with, as for search; else held-out rows."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the held-out rows and the builds.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Where to write NAME.json and NAME.png.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare index recipes on a collection's own data: recall, cost, memory, build time."""
    with reporting(debug), open_for(folder) as collection:
        from vecsearch.evaluation import bench as benching

        asked = questions(collection, queries)
        report = collection.bench(recipes or list(benching.RECIPES), k=k, queries=asked, seed=seed)
        if output is not None:
            benching.write_json(report, output.with_suffix(".json"))
            benching.write_plot(report, output.with_suffix(".png"))
        if as_json:
            print_json(report)
        else:
            head = ["recipe", "build", "memory", "recall .90", "recall .95", "recall .99"]
            print_table(head, benching.table(report))
            out.print(
                f"k={k}, {report['rows']:,} rows, one thread; measured with {report['queries']}",
                style="dim",
            )


@app.command()
def search(
    folder: Folder,
    question: Annotated[
        str | None, typer.Argument(help="What to look for.", show_default=False)
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many documents to find.")] = 10,
    where: Where = None,
    recall: Annotated[
        float | None,
        typer.Option(help="Recall to deliver; without it, the collection's own target."),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Score every row: recall 1.")] = False,
    passages: Annotated[
        bool, typer.Option("--passages", help="Find passages, not whole documents.")
    ] = False,
    columns: Columns = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say how the search is done, and why.")
    ] = False,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Many questions: a .jsonl file with id and text, or a text file with one a line."
        ),
    ] = None,
    version: Version = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the documents most like a question."""
    if (question is None) == (queries is None):
        raise typer.BadParameter(
            "give a question, or --queries with a file of them", param_hint="'QUESTION'"
        )
    with reporting(debug), open_for(folder, version) as collection:
        info = collection.info()
        asked = read_queries(queries) if queries else [("1", str(question))]
        vectors_or_texts = [text if info.text_column else vector_of(text) for _, text in asked]
        found = collection.search_batch(
            vectors_or_texts, k, where=where, recall=recall, exact=exact, passages=passages
        )
        names = [name.strip() for name in columns.split(",")] if columns else None
        for (key, text), hits in zip(asked, found, strict=True):
            if as_json:
                print_json(
                    {
                        "query_id": key,
                        "query": text,
                        "plan": str(hits.plan),
                        "hits": _as_dicts(hits, names),
                    }
                )
                continue
            if queries:
                out.print(f"\n{key}  {text}", style="bold")
            print_hits(
                hits,
                [name for name in names or [] if name != info.text_column],
                info.text_column,
                text,
            )
            if plan:
                out.print(str(hits.plan), style="dim")


@app.command()
def info(
    folder: Folder, version: Version = None, as_json: Json = False, debug: Debug = False
) -> None:
    """Show the facts of a collection."""
    with reporting(debug), open_for(folder, version) as collection:
        info = collection.info()
        if as_json:
            print_json(info)
        else:
            _print_info(info)
            if info.indexes and version is None:
                out.print(str(collection.index_advice()), style="dim", soft_wrap=True)


@app.command()
def versions(folder: Folder, as_json: Json = False, debug: Debug = False) -> None:
    """List the versions of a collection that can still be opened."""
    with reporting(debug), open_for(folder) as collection:
        found = collection.versions()
        if as_json:
            print_json({"versions": found})
        else:
            rows = [(item.version, item.created, item.operation, item.documents) for item in found]
            print_table(["version", "created", "operation", "documents"], rows)


@app.command()
def delete(
    folder: Folder,
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of documents.", show_default=False)
    ] = None,
    where: Where = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Delete documents by id or by filter."""
    if bool(ids) == bool(where):
        raise typer.BadParameter("give ids, or --where with a filter", param_hint="'IDS'")
    with reporting(debug), open_for(folder) as collection:
        whole_numbers = collection.info().columns["id"] == "int64"
        done = collection.delete(
            [_as_number(item) for item in ids] if ids and whole_numbers else ids, where=where
        )
        if as_json:
            print_json(done)
        else:
            missing = f"; {done.missing:,} not there" if done.missing else ""
            out.print(
                f"{count(done.deleted, 'document')} deleted{missing} (version {done.version})"
            )


@app.command()
def compact(
    folder: Folder,
    purge: Annotated[
        bool, typer.Option("--purge", help="Leave nothing of deleted documents in any file.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run small segments together and drop deleted rows; searches answer the same."""
    with reporting(debug), open_for(folder) as collection:
        before = collection.info()
        collection.compact(purge=purge)
        after = collection.info()
        if as_json:
            print_json({"before": before, "after": after})
        else:
            out.print(
                f"{count(before.segments, 'segment')} → {after.segments:,}, {before.deleted_rows:,} deleted rows dropped, "
                f"{shown_bytes(before.bytes)} → {shown_bytes(after.bytes)} (version {after.version})"
            )


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="[COLLECTION]", help="Where to keep the demo.")
    ] = Path("stdlib.vs"),
    embedder: Annotated[str, typer.Option(help="Model to embed with.")] = DEFAULT_EMBEDDER,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Search the docstrings of Python's own standard library."""
    with reporting(debug):
        from vecsearch.cli.demo import run

        answers = run(folder, embedder, quiet=as_json)
        if as_json:
            print_json({"collection": str(folder), "answers": answers})


def _open_or_create(
    folder: Path,
    embedder: str | None,
    dim: int | None,
    metric: Metric | None,
    chunker: int | bool | None,
) -> Collection:
    """The collection as asked for. What was decided when it was made cannot be asked otherwise."""
    from vecsearch.collection import create, open_collection
    from vecsearch.errors import CollectionNotFoundError

    try:
        collection = open_collection(folder, embedder=embedder)
    except CollectionNotFoundError:
        model = embedder or (DEFAULT_EMBEDDER if dim is None else None)
        return create(
            folder, embedder=model, dim=dim, metric=metric or Metric.COSINE, chunker=chunker
        )
    info = collection.info()
    for option, asked, is_now in (("--metric", metric, info.metric), ("--dim", dim, info.dim)):
        if asked is not None and asked != is_now:
            raise typer.BadParameter(
                f"{folder} was made with {is_now}; another needs a new collection",
                param_hint=option,
            )
    if chunker and info.chunker is None:
        raise typer.BadParameter(
            f"{folder} was made without a chunker; with one it needs to be new",
            param_hint="--chunk",
        )
    return collection


def _print_info(info: CollectionInfo) -> None:
    print_fields(
        {
            "collection": info.path,
            "version": info.version,
            "documents": info.documents,
            "rows": f"{info.rows:,} in {count(info.segments, 'segment')}, {info.deleted_rows:,} deleted",
            "on disk": shown_bytes(info.bytes),
            "embedder": info.embedder,
            "vectors": f"{info.dim} × {info.dtype}, {info.metric}",
            "chunker": info.chunker,
            "columns": ", ".join(_shown_columns(info)),
            "recall target": info.recall,
            "index": "; ".join(_shown_index(index) for index in info.indexes)
            or "none: every search is exact",
        }
    )


def _shown_columns(info: CollectionInfo) -> list[str]:
    """The user's columns with their types; Arrow's 64-bit offsets are no news to a person."""
    own = [
        (name, kind)
        for name, kind in info.columns.items()
        if name != "vector" and not name.startswith("_")
    ]
    return [f"{name} ({kind.removeprefix('large_')})" for name, kind in own]


def _shown_index(index: IndexInfo) -> str:
    measured = (
        f"measured with {index.calibration['queries']:,} {index.calibration['calibrated_on']}"
    )
    return f"{index.recipe['name']}, {index.rows:,} rows, {shown_bytes(index.bytes)}, {measured}"


def _as_dicts(hits: Hits, columns: list[str] | None) -> list[dict[str, Any]]:
    """Hits for JSON: with rank, score and id always, and the columns asked for (all but the vector, when none are)."""
    if columns is None:
        return [hit.to_dict() for hit in hits]
    return [
        {"rank": hit.rank, "score": hit.score, "id": hit.id} | {name: hit[name] for name in columns}
        for hit in hits
    ]


def _as_number(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdecimal() else text
