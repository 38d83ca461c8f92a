"""Commands that add documents to a collection, update and delete them."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecsearch.cli import complete
from vecsearch.cli.language import fitting_model
from vecsearch.cli.named import VectorsOption, named_vectors
from vecsearch.cli.options import (
    DEFAULT_EMBEDDER,
    DOCUMENTS,
    FITTING,
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
    from vecsearch.embedders.named_vectors import NamedVector

DATA_HELP = (
    "Files, folders of them, web addresses (https://...), or - for standard input. Documents: .txt "
    ".md .rst .html .pdf .docx .pptx .epub .eml .mbox .ipynb .srt, source code. Tables: .parquet "
    ".csv .tsv .json .jsonl .arrow .xlsx. Vectors: .npy .h5 .faiss. Other stores: chroma:PATH, "
    "lancedb:PATH, qdrant:PATH, with ::NAME where they hold several collections. Biology: .h5ad "
    ".fasta .fastq .pdb .cif; tables of numbers: FILE.csv::rows or ::columns. Pictures, with a "
    "model of pictures."
)
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Leave out files of folders, as .gitignore does: drafts/, *.log. Repeatable.",
    ),
]
EmbedderOption = Annotated[
    str | None,
    typer.Option(
        help=f"New collection: its embedding model. Default: {FITTING}.",
        autocompletion=complete.models,
    ),
]
ChunkerOption = Annotated[
    str | None,
    typer.Option(
        metavar="auto|none|N",
        help="New collection: auto splits texts that are longer than the model reads, none "
        "splits no text, a number makes passages of at most so many characters. Default: auto.",
    ),
]
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
    paths, started = _paths(data), time.monotonic()
    with reporting(debug):
        from vecsearch.errors import InvalidInputError
        from vecsearch.storage.folders import removed_on_error
        from vecsearch.storage.objects.places import collection_path

        _refuse_old_options(chunk, chunk_chars)
        csv = {
            "delimiter": "\t" if delimiter == "\\t" else delimiter,
            "quote": quote,
            "comment": comment,
            "null": null or None,
        }
        declared = _declared(schema, json_column)
        own_id, json_columns = _known_columns(folder, declared)
        has_ids, width = _ids_and_vectors(
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


def _paths(data: Sequence[str]) -> list[os.PathLike[str]]:
    """The sources of a command line: files, folders, addresses, standard input."""
    from vecsearch.ingest.sources.stores import OtherStore, is_store
    from vecsearch.ingest.sources.web import SCHEMES, StandardInput, WebAddress

    if data.count("-") > 1:
        raise typer.BadParameter("standard input can be read once", param_hint="DATA")
    found: list[os.PathLike[str]] = []
    for name in data:
        if name == "-":
            found.append(StandardInput(sys.stdin.buffer))
        elif is_store(name):
            found.append(OtherStore(name))
        elif name.startswith(SCHEMES):
            found.append(WebAddress(name))
        elif not (inside := Path(name.partition("::")[0])).exists() and not Path(name).exists():
            raise typer.BadParameter(f"Path '{inside}' does not exist.", param_hint="DATA")
        else:
            found.append(Path(name))
    return found


def _ids_line(ids: Sequence[Id], total: int) -> list[str]:
    """The first ids of a dry run, on one line."""
    more = f" and {total - len(ids):,} more" if total > len(ids) else ""
    return [f"{', '.join(map(str, ids))}{more}"] if ids else []


def _assigned(collection: Collection, texts: dict[str, str]) -> dict[str, Any]:
    """The columns of `--set name=value`, with values of their types."""
    from vecsearch.maintenance.typed_values import typed_value

    schema = collection.to_arrow(ids=[]).schema
    return {name: typed_value(schema, name, text) for name, text in texts.items()}


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch add-column notes.vs year int64",
    ),
)
def add_column(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="The column.")],
    kind: Annotated[
        str, typer.Argument(metavar="TYPE", help="int64, double, string, date32, json, ...")
    ],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Add a column that is empty in every document."""
    with reporting(debug), open_for(folder) as collection:
        _print_column(as_json, collection.add_column(name, kind), f"column {name} added")


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch drop-column notes.vs draft",
    ),
)
def drop_column(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="The column.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove a column and its values."""
    with reporting(debug), open_for(folder) as collection:
        _print_column(as_json, collection.drop_column(name), f"column {name} removed")


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch alter-column notes.vs price double",
    ),
)
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


def _declared(schema: list[str] | None, json_columns: list[str] | None) -> dict[str, str]:
    """The columns of `--schema name:type` and of `--json-column name`."""
    pairs = [item.partition(":") for item in schema or ()]
    if not all(name and kind for name, _, kind in pairs):
        raise typer.BadParameter("write NAME:TYPE, such as year:int64", param_hint="--schema")
    declared: dict[str, str] = {}
    for name, _, kind in pairs:
        if declared.setdefault(name, kind) != kind:
            raise typer.BadParameter(
                f"{name} is declared as {declared[name]} and as {kind}", param_hint="--schema"
            )
    for name in json_columns or ():
        if declared.get(name, "json") != "json":
            raise typer.BadParameter(
                f"--schema says that {name} is {declared[name]}", param_hint="--json-column"
            )
        declared[name] = "json"
    return declared


def _known_columns(folder: Path, declared: dict[str, str]) -> tuple[str, list[str]]:
    """The column of ids and the JSON columns of the collection, or of the new one."""
    from vecsearch.collection import open_collection
    from vecsearch.errors import CollectionNotFoundError
    from vecsearch.types import ID

    own_id, columns = ID, declared
    try:
        with open_collection(folder) as collection:
            info = collection.info()
            own_id, columns = info.id_column, dict(info.columns)
    except CollectionNotFoundError:
        pass
    return own_id, [name for name, kind in columns.items() if kind == "json"]


@contextlib.contextmanager
def advising_anew(folder: Path) -> Iterator[None]:
    """Add to the error about another model what to do where nothing is in the collection yet."""
    from vecsearch.errors import EmbedderMismatchError
    from vecsearch.storage import log

    try:
        yield
    except EmbedderMismatchError as error:
        if log.versions(folder) != [1]:
            raise
        raise EmbedderMismatchError(
            error.message,
            command_hint=f"{folder} holds no document: remove it with "
            f"`rm -r {shlex.quote(str(folder))}`, and run the command again",
        ) from None


def open_or_create(
    folder: Path,
    embedder: str | None,
    dim: int | None,
    metric: Metric | None,
    chunker: str | None,
    width: int | None,
    declared: dict[str, str],
    id_column: str | None,
    text_columns: list[str] | None,
    auto_index: bool = True,
    shards: int | None = None,
    default: Callable[[], str] = lambda: DEFAULT_EMBEDDER,
    vectors: Mapping[str, NamedVector] | None = None,
) -> tuple[Collection, bool]:
    """Open a collection, or create it; options that are fixed at creation must agree.

    A new one takes `width` numbers a vector, without an embedder, unless it is None. `default`
    chooses the model of a new one if none was named.
    Also returns whether it is new.
    """
    from vecsearch.collection import create, open_collection
    from vecsearch.errors import CollectionNotFoundError
    from vecsearch.ingest.chunking import resolve_chunker

    try:
        collection = open_collection(folder, embedder=embedder)
    except CollectionNotFoundError:
        dim = width if width is not None else dim
        model = embedder or (default() if dim is None else None)
        new = create(
            folder,
            embedder=model,
            dim=dim,
            metric=metric or Metric.COSINE,
            chunker="auto" if chunker in (None, "auto") else resolve_chunker(chunker),
            schema=declared or None,
            id_column=id_column,
            text_columns=text_columns or None,
            auto_index=auto_index,
            vectors=vectors or None,
            shards=1 if shards is None else shards,
        )
        return new, True
    if vectors:
        raise typer.BadParameter(
            f"{folder} exists already, and named vectors are declared when a collection is made",
            param_hint="--vectors",
        )
    info = collection.info()
    if any(kind != "json" or info.columns.get(name) != kind for name, kind in declared.items()):
        raise typer.BadParameter(
            f"{folder} exists already; change its columns with add-column, drop-column and "
            "alter-column",
            param_hint="--schema",
        )
    several = tuple(text_columns or ())
    if len(several) > 1 and several != info.text_columns:
        raise typer.BadParameter(
            f"{folder} embeds {', '.join(info.text_columns) or 'no text'}, which cannot change; "
            "make a new collection",
            param_hint="--text-column",
        )
    for option, wanted, current in (("--metric", metric, info.metric), ("--dim", dim, info.dim)):
        if wanted is not None and wanted != current:
            raise typer.BadParameter(
                f"{folder} was made with {current}, which cannot change; make a new collection",
                param_hint=option,
            )
    if shards not in (None, info.shards):
        raise typer.BadParameter(
            f"{folder} has {info.shards}; `vecsearch reshard` changes that", param_hint="--shards"
        )
    if chunker is not None:
        given = resolve_chunker(chunker)
        if (None if given is None else given.to_dict()) != info.chunker:
            raise typer.BadParameter(
                f"{folder} was made with {_chunker_words(info.chunker)}, which cannot change; make "
                "a new collection",
                param_hint="--chunker",
            )
    return collection, False


def _refuse_old_options(chunk: bool, chunk_chars: int | None) -> None:
    if chunk_chars is not None:
        raise typer.BadParameter(
            f"it is called --chunker now: --chunker {chunk_chars}", param_hint="--chunk-chars"
        )
    if chunk:
        raise typer.BadParameter(
            "long texts are split by default now (--chunker auto); --chunker 1000 is what --chunk "
            "was",
            param_hint="--chunk",
        )


def _chunker_words(chunker: Mapping[str, Any] | None) -> str:
    """A collection's chunker as --chunker names it."""
    if chunker is None:
        return "--chunker none"
    if chunker.get("kind") == "sentences":
        return f"--chunker {chunker.get('max_chars')}"
    return f"the chunker {chunker.get('name') or chunker.get('kind')}"


def _ids_and_vectors(
    data: Sequence[os.PathLike[str]],
    id_column: str,
    on_error: OnError,
    encoding: str | None,
    csv: dict[str, Any],
    json_columns: list[str],
) -> tuple[bool | None, int | None]:
    """Whether the data has ids, and the length of its vectors, None without a column of them.

    (None, None) for data that cannot be read: adding it says what is wrong. Documents have ids.
    """
    from vecsearch.common.json_column import json_schema
    from vecsearch.errors import InvalidInputError
    from vecsearch.ingest.sources import open_source
    from vecsearch.ingest.sources.reading import reading_options
    from vecsearch.ingest.sources.registry import TABLES, split_inside, suffix_of
    from vecsearch.ingest.sources.stores import OtherStore
    from vecsearch.ingest.vector_column import vector_width
    from vecsearch.types import ID, VECTOR

    data = [
        path
        for path in data
        if isinstance(path, OtherStore)
        or (isinstance(path, Path) and suffix_of(split_inside(path)[0]) in TABLES)
    ]
    if not data:
        return True, None
    try:
        reading = reading_options(on_error, encoding, csv)
        reading.beir_id = id_column == ID
        batch = next(
            open_source(
                data, batch_rows=64, schema=json_schema(json_columns), reading=reading
            ).batches,
            None,
        )
    except InvalidInputError:
        return None, None
    if batch is None:
        return None, None
    has_vectors = VECTOR in batch.schema.names
    width = vector_width(batch.column(VECTOR)) if has_vectors else None
    return id_column in batch.schema.names, width
