"""Commands that add documents to a collection, update and delete them."""

from __future__ import annotations

import shlex
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecsearch.cli import complete
from vecsearch.cli.language import fitting_model
from vecsearch.cli.named import VectorsOption, named_vectors
from vecsearch.cli.opening import (
    ChunkerOption,
    EmbedderOption,
    Exclude,
    advising_anew,
    declared_columns,
    ids_and_vectors,
    known_columns,
    open_or_create,
    refuse_old_options,
    sources_of,
)
from vecsearch.cli.options import (
    DOCUMENTS,
    START,
    Debug,
    DryRun,
    EngineOption,
    Folder,
    IdsFile,
    Json,
    OneId,
    Timeout,
    Where,
    examples,
    ids_of,
    open_for,
)
from vecsearch.cli.terminal import print_answer, reporting
from vecsearch.types import AddResult, Id, Metric, OnConflict, OnError, counted

if TYPE_CHECKING:
    from vecsearch.collection import Collection

DATA_HELP = (
    "Files, folders of them, web addresses (https://...), or - for standard input. Documents: .txt "
    ".md .rst .html .pdf .docx .pptx .epub .eml .mbox .ipynb .srt, source code. Tables: .parquet "
    ".csv .tsv .json .jsonl .arrow .xlsx. Vectors: .npy .h5 .faiss. Other stores: chroma:PATH, "
    "lancedb:PATH, qdrant:PATH, with ::NAME where they hold several collections. Biology: .h5ad "
    ".fasta .fastq .pdb .cif; tables of numbers: FILE.csv::rows or ::columns. Pictures, with a "
    "model of pictures."
)
app = typer.Typer()


@app.command(
    rich_help_panel=START,
    epilog=examples(
        "vecsearch ingest ~/notes notes.vs",
        "vecsearch ingest papers.csv papers.vs --text-column abstract --id-column doi",
        "vecsearch ingest new.jsonl papers.vs --on-conflict replace",
    ),
)
def ingest(
    data: Annotated[
        list[str],
        typer.Argument(metavar="DATA", help=DATA_HELP, show_default=False),
    ],
    folder: Folder,
    embedder: EmbedderOption = None,
    dim: Annotated[
        int | None, typer.Option(help="New collection of ready-made vectors: their dimension.")
    ] = None,
    metric: Annotated[
        Metric | None,
        typer.Option(help="New collection: how vectors are compared. Default: cosine."),
    ] = None,
    chunker: ChunkerOption = None,
    chunk: Annotated[bool, typer.Option("--chunk", hidden=True)] = False,
    chunk_chars: Annotated[int | None, typer.Option(hidden=True)] = None,
    text_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that holds the text. Repeatable in a new collection, which then embeds "
            "these columns together."
        ),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(help="Column that holds the ids. Default: id.")
    ] = None,
    schema: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:TYPE", help="New collection: a column's type. Repeatable."),
    ] = None,
    json_column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="New collection: a column of JSON objects of any keys and types. Repeatable.",
        ),
    ] = None,
    vectors: VectorsOption = None,
    shards: Annotated[
        int | None,
        typer.Option(help="New collection: how many shards its rows are in. Default: 1."),
    ] = None,
    on_conflict: Annotated[
        OnConflict,
        typer.Option(
            help="What to do with an id that is already in the collection. refresh replaces "
            "documents that changed and leaves out those that did not."
        ),
    ] = "refresh",
    on_duplicate: Annotated[
        str | None,
        typer.Option(
            metavar="report|skip",
            help="Find documents that are nearly the same as others: report or skip them.",
        ),
    ] = None,
    duplicate_score: Annotated[
        float, typer.Option(help="The least score of documents that are nearly the same.")
    ] = 0.95,
    on_error: Annotated[
        OnError,
        typer.Option(help="What to do with a row, file or picture that cannot be added."),
    ] = "raise",
    encoding: Annotated[
        str | None,
        typer.Option(
            help="Encoding of text files, such as latin-1. Default: found, if it is sure."
        ),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="CSV: what separates cells. Default: found.")
    ] = None,
    quote: Annotated[
        str | None, typer.Option(help="CSV: what encloses cells; '' for nothing. Default: \".")
    ] = None,
    comment: Annotated[
        str | None, typer.Option(help="CSV: leave out lines that begin with this.")
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(help="CSV: a cell that means a missing value. Repeatable."),
    ] = None,
    auto_index: Annotated[
        bool | None,
        typer.Option(
            "--auto-index/--no-auto-index",
            help="Whether to index the new rows before returning. With --no-auto-index a new "
            "collection leaves this to `vecsearch build` for good. Default: yes.",
            show_default=False,
        ),
    ] = None,
    exclude: Exclude = None,
    engine: EngineOption = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Add documents to a collection; create it if need be."""
    paths, started = sources_of(data), time.monotonic()
    with reporting(debug):
        from vecsearch.errors import InvalidInputError
        from vecsearch.storage.folders import removed_on_error
        from vecsearch.storage.objects.places import collection_path

        refuse_old_options(chunk, chunk_chars)
        csv = {
            "delimiter": "\t" if delimiter == "\\t" else delimiter,
            "quote": quote,
            "comment": comment,
            "null": null or None,
        }
        declared = declared_columns(schema, json_column)
        own_id, json_columns = known_columns(folder, declared)
        has_ids, width = ids_and_vectors(
            paths, id_column or own_id, on_error, encoding, csv, json_columns
        )
        is_new = False
        with removed_on_error(collection_path(folder), [1], lambda: is_new):
            is_ready_made = embedder is None and dim is None and width is not None
            collection, is_new = open_or_create(
                folder,
                embedder,
                dim,
                metric,
                chunker,
                width if is_ready_made else None,
                declared,
                id_column,
                text_column,
                auto_index is not False,
                shards=shards,
                default=lambda: fitting_model(
                    paths, text_column or (), exclude=exclude or (), encoding=encoding, csv=csv
                ),
                vectors=named_vectors(vectors),
            )
            with collection, advising_anew(folder):
                before, info = len(collection), collection.info()
                result = collection.add(
                    paths,
                    on_conflict=on_conflict,
                    id_column=id_column,
                    text_column=text_column[0] if text_column and len(text_column) == 1 else None,
                    on_error=on_error,
                    encoding=encoding,
                    csv=csv,
                    auto_index=auto_index,
                    exclude=exclude or (),
                    on_duplicate=on_duplicate,  # type: ignore[arg-type]
                    duplicate_score=duplicate_score,
                    engine=engine,
                )
                documents = len(collection)
            if is_new and not result.added:
                left_out = result.report.one_line()
                raise InvalidInputError(
                    "there is no document to add, so no collection was made"
                    + f"; {left_out}" * bool(left_out)
                )
        if is_ready_made and info.embedder is None and not before:
            warnings.warn(
                "the vectors are ready-made, so no embedder is recorded: search by vectors, or "
                "name the model that made them with --embedder in a new collection",
                stacklevel=1,
            )
        if before and result.added and has_ids is False:
            warnings.warn(
                f"the data has no ids: {counted(result.added, 'document')} that the collection did "
                f"not have were added to its {before:,}, and none was replaced; give the data a "
                "column of ids to replace rows that change, or undo it with `vecsearch rollback`",
                stacklevel=1,
            )
        lines = [*_duplicate_lines(result, on_duplicate), *result.report.lines()]
        if result.indexed_rows:
            lines.append(f"{counted(result.indexed_rows, 'row')} indexed")
        if is_new:
            seconds = time.monotonic() - started
            done = f"{counted(result.added, 'document')} added to {folder} in {seconds:.1f} s"
            if info.embedder is not None:
                lines.append(f'Next: vecsearch search {shlex.quote(str(folder))} "a question"')
        else:
            counts = (
                (result.replaced, "replaced"),
                (result.skipped, "skipped"),
                (result.unchanged, "unchanged"),
            )
            others = "".join(f", {number:,} {what}" for number, what in counts if number)
            done = (
                f"{counted(result.added, 'document')} added{others}; {folder} holds "
                f"{documents:,} (version {result.version})"
            )
        print_answer(as_json, result, done, *lines)


def _duplicate_lines(result: AddResult, on_duplicate: str | None) -> list[str]:
    """The first documents that are nearly the same as others."""
    lines = [
        f"{pair.duplicate} is nearly the same as {pair.id} (score {pair.score:.3f})"
        + (" and was left out" if on_duplicate == "skip" else "")
        for pair in result.duplicates[:5]
    ]
    if len(result.duplicates) > len(lines):
        lines.append(f"and {len(result.duplicates) - len(lines):,} more nearly the same")
    return lines


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch delete notes.vs old.md draft.md",
        'vecsearch delete notes.vs --where "year < 2000" --dry-run',
    ),
)
def delete(
    folder: Folder,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Ids of documents.", show_default=False),
    ] = None,
    where: Where = None,
    ids_file: IdsFile = None,
    dry_run: DryRun = False,
    timeout: Timeout = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Delete documents by id, by filter, or those to which both apply."""
    if not ids and ids_file is None and not where:
        raise typer.BadParameter("give ids, or --where with a filter", param_hint="'IDS'")
    with reporting(debug), open_for(folder) as collection:
        result = collection.delete(
            ids_of(collection, ids, ids_file), where=where, dry_run=dry_run, timeout=timeout
        )
        missing = f"; {result.missing:,} not found" if result.missing else ""
        done = f"{counted(result.deleted, 'document')} {'would be ' * dry_run}deleted{missing}"
        lines = _ids_line(result.ids, result.deleted)
        print_answer(as_json, result, f"{done} (version {result.version})", *lines)


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch update notes.vs --id plan.md --set year=2026",
        'vecsearch update notes.vs --where "lang IS NULL" --set lang=en',
    ),
)
def update(
    folder: Folder,
    values: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            autocompletion=complete.assignments,
            help="A column's new value: text as it is, other types as in JSON lines, such as null. "
            "Repeatable.",
        ),
    ],
    where: Where = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    everything: Annotated[bool, typer.Option("--all", help="Every document.")] = False,
    dry_run: DryRun = False,
    timeout: Timeout = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Set columns of documents; a changed text is embedded again.

    `vecsearch ingest --on-conflict update` takes a file with values for each document.
    """
    if not (one_id or ids or where) and not everything:
        raise typer.BadParameter("give --where, --id, --ids or --all", param_hint="--where")
    pairs = [item.partition("=") for item in values]
    if not all(name and equals for name, equals, _ in pairs):
        raise typer.BadParameter("write NAME=VALUE, such as year=2020", param_hint="--set")
    for name, count in Counter(name for name, _, _ in pairs).items():
        if count > 1:
            raise typer.BadParameter(f"{name} is set {count} times", param_hint="--set")
    with reporting(debug), open_for(folder) as collection:
        result = collection.update(
            where,
            _assigned(collection, {name: text for name, _, text in pairs}),
            ids=ids_of(collection, one_id, ids),
            dry_run=dry_run,
            timeout=timeout,
        )
        missing = f"; {result.missing:,} not found" if result.missing else ""
        done = f"{counted(result.updated, 'document')} {'would be ' * dry_run}updated{missing}"
        lines = _ids_line(result.ids, result.updated)
        print_answer(as_json, result, f"{done} (version {result.version})", *lines)


def _ids_line(ids: Sequence[Id], total: int) -> list[str]:
    """The first ids of a dry run, on one line."""
    more = f" and {total - len(ids):,} more" if total > len(ids) else ""
    return [f"{', '.join(map(str, ids))}{more}"] if ids else []


def _assigned(collection: Collection, texts: dict[str, str]) -> dict[str, Any]:
    """The columns of `--set name=value`, with values of their types."""
    from vecsearch.maintenance.typed_values import typed_value

    schema = collection.to_arrow(ids=[]).schema
    return {name: typed_value(schema, name, text) for name, text in texts.items()}
