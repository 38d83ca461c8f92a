"""What `ingest` and `sync` share: their options, sources, and the collection, old or new."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecsearch.cli import complete
from vecsearch.cli.options import DEFAULT_EMBEDDER, FITTING
from vecsearch.types import Metric, OnError

if TYPE_CHECKING:
    from vecsearch.collection import Collection
    from vecsearch.embedders.named_vectors import NamedVector

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


def sources_of(data: Sequence[str]) -> list[os.PathLike[str]]:
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


def declared_columns(schema: list[str] | None, json_columns: list[str] | None) -> dict[str, str]:
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


def known_columns(folder: Path, declared: dict[str, str]) -> tuple[str, list[str]]:
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


def refuse_old_options(chunk: bool, chunk_chars: int | None) -> None:
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


def ids_and_vectors(
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
