"""Write a collection to one file, in the format that the file's ending names.

A Parquet file holds all that `restore` needs. The other formats hold documents: the user's columns,
and the vectors as they were given. In a chunked collection a document has several vectors, so there
the text is put together again and the vectors are left out; adding the file embeds it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arguments import check_names
from vecsearch.common.arrays import Positions
from vecsearch.common.json_arrays import NotInJsonError, is_binary, to_json
from vecsearch.common.json_column import is_json, python_values
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.maintenance.edit import whole_documents
from vecsearch.maintenance.parquet import (
    export_parquet,
    rows_as_given,
    write_new_file,
    write_parquet,
)
from vecsearch.query.documents import whole_texts
from vecsearch.query.selection import Selector
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.schema import metadata_schema, vector_field
from vecsearch.storage.snapshot import Snapshot, open_snapshot
from vecsearch.types import CHUNK, VECTOR

FORMATS = (".parquet", ".csv", ".jsonl", ".arrow")
DOCUMENT_ROWS = 1024  # whole documents in memory at a time


def export(
    root: Path,
    target: Path,
    version: int | None = None,
    where: str | pc.Expression | None = None,
    columns: Sequence[str] | None = None,
    ids: Any = None,
) -> int:
    """Write a version to one file, whose ending names the format.

    Args:
        root: The collection.
        target: The file (.parquet, .csv, .jsonl or .arrow); it must not exist.
        version: The version to write; None writes the latest.
        where: The documents to write, as a filter; None for all.
        columns: The columns to write, in this order; None for all.
        ids: The ids of documents to write; None for all. Both must hold.

    Returns:
        The number of rows written: documents, or in a Parquet file of all columns passages.

    Raises:
        InvalidInputError: The ending is another, the format cannot hold a column, a column does not
            exist, or an id has another type.
        FilterError: The filter is wrong.
        CollectionNotFoundError: There is no collection at `root`.
        VersionNotFoundError: It does not have this version.
        CollectionExistsError: `target` exists.
        CorruptedError: A file of the collection is damaged.
        StorageError: Reading or writing failed.
    """
    ending = target.suffix.lower()
    if ending not in FORMATS:
        raise InvalidInputError(
            f"{target.name} ends in {target.suffix!r}, which is no format of export; "
            f"choose a name that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        )

    def selected(snapshot: Snapshot) -> Positions:
        if where is None and ids is None:
            return snapshot.live.rows
        return whole_documents(snapshot, Selector(snapshot).select_documents(where, ids))

    if ending == ".parquet" and columns is None:
        return export_parquet(root, target, version, selected)
    snapshot = open_snapshot(root, OpenFiles(root), version)
    chosen = selected(snapshot)
    schema = document_schema(snapshot)
    if columns is not None:
        schema = _chosen(schema, columns, snapshot)
    rows = 0

    def write(path: Path) -> None:
        nonlocal rows
        rows = _WRITERS[ending](path, schema, _documents(snapshot, schema, chosen))

    write_new_file(target, write)
    return rows


def document_schema(snapshot: Snapshot) -> pa.Schema:
    """The columns of exported documents."""
    manifest = snapshot.manifest
    fields = list(metadata_schema(manifest.schema))
    if not manifest.chunked:
        fields.append(vector_field(manifest.dim, "float32"))
    return pa.schema(fields)


def _chosen(schema: pa.Schema, columns: Sequence[str], snapshot: Snapshot) -> pa.Schema:
    """The columns that were asked for. Raises InvalidInputError for one that is not there."""
    names = check_names("columns", columns)
    if not names:
        raise InvalidInputError(
            "columns is empty", hint="leave it out for all", command_hint="leave it out for all"
        )
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InvalidInputError(f"columns has {shown(name)} twice")
        if name == VECTOR and snapshot.manifest.chunked:
            raise InvalidInputError(
                "a document of several passages has several vectors: export all columns to "
                ".parquet, which holds passages, or leave 'vector' out"
            )
        if name not in schema.names:
            raise InvalidInputError(
                f"there is no column {shown(name)}{did_you_mean(name, schema.names)}"
            )
    return pa.schema([schema.field(name) for name in names])


def _documents(snapshot: Snapshot, schema: pa.Schema, rows: Positions) -> Iterator[pa.RecordBatch]:
    """The documents of rows, verified, in batches of a schema."""
    if not snapshot.manifest.chunked:
        for batch in rows_as_given(snapshot, rows):
            yield batch.select(schema.names).cast(schema)
        return
    texts = [name for name in snapshot.manifest.text_columns if name in schema.names]
    for passages in rows_as_given(snapshot, rows, DOCUMENT_ROWS):
        firsts = passages.filter(pc.equal(passages.column(CHUNK), 0))
        batch = firsts.select(schema.names)
        ids = firsts.column(snapshot.manifest.id_column)
        for name, whole in zip(texts, whole_texts(snapshot, ids, texts), strict=True):
            at = schema.get_field_index(name)
            batch = batch.set_column(at, schema.field(at), pa.array(whole, schema.field(at).type))
        yield batch


def _write_arrow(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    rows = 0
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _write_jsonl(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in batches:
            columns = [
                python_values(batch.column(name))
                if is_json(schema.field(name).type)
                else _json_column(batch, name, "JSON lines")
                for name in schema.names
            ]
            for values in zip(*columns, strict=True):
                row = dict(zip(schema.names, values, strict=True))
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            rows += batch.num_rows
    return rows


def _write_csv(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        _write_line(file, [_quoted(name) for name in schema.names])
        for batch in batches:
            columns = [_csv_column(batch, name) for name in schema.names]
            for cells in zip(*columns, strict=True):
                _write_line(file, cells)
            rows += batch.num_rows
    return rows


def _write_line(file: IO[str], cells: Iterable[str]) -> None:
    file.write(",".join(cells) + "\n")


def _csv_column(batch: pa.RecordBatch, name: str) -> list[str]:
    """The cells of a column: text in quotes, nested values as JSON text, nothing for a null."""
    if is_json(batch.schema.field(name).type):
        at = batch.schema.get_field_index(name)
        text = pa.field(name, pa.large_string())
        batch = batch.set_column(at, text, batch.column(at).cast(text.type))
    kind = batch.schema.field(name).type
    values = _json_column(batch, name, "CSV")
    if pa.types.is_nested(kind):
        values = [
            None if value is None else json.dumps(value, ensure_ascii=False) for value in values
        ]
    elif pa.types.is_boolean(kind):
        values = [None if value is None else str(value).lower() for value in values]
    as_text = pa.types.is_nested(kind) or pa.types.is_large_string(kind) or is_binary(kind)
    cells = []
    for value in values:
        if isinstance(value, str) and "\0" in value:
            raise InvalidInputError(
                f"column {name!r} cannot be written as CSV: it holds a NUL character; "
                "export to .parquet, .arrow or .jsonl"
            )
        cells.append("" if value is None else _quoted(value) if as_text else str(value))
    return cells


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _json_column(batch: pa.RecordBatch, name: str, format_name: str) -> list[Any]:
    try:
        return to_json(batch.column(name))
    except (NotInJsonError, pa.ArrowException) as error:
        raise InvalidInputError(
            f"column {name!r} cannot be written as {format_name}: {error}; "
            "export to .parquet or .arrow"
        ) from error


_WRITERS: dict[str, Callable[[Path, pa.Schema, Iterator[pa.RecordBatch]], int]] = {
    ".parquet": write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".arrow": _write_arrow,
}
