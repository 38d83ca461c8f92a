"""A collection as one Parquet file, and back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vecsearch.common.arrays import Positions
from vecsearch.common.batches import rebatch
from vecsearch.common.json_arrays import (
    NotInJsonError,
    has_empty_struct,
    to_json,
    with_empty_structs,
)
from vecsearch.errors import (
    CollectionExistsError,
    CorruptedError,
    InvalidInputError,
    VecsearchError,
)
from vecsearch.maintenance.check import find_damage
from vecsearch.storage import disk, locks, log, manifest_json
from vecsearch.storage.folders import new_collection_folder, part_path
from vecsearch.storage.limits import DEFAULT_LIMITS, Limits
from vecsearch.storage.manifest import Manifest, replace
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.schema import (
    decode_vectors,
    encode_vectors,
    vector_array,
    vector_field,
    vector_view,
)
from vecsearch.storage.snapshot import Snapshot, open_snapshot
from vecsearch.storage.store import Store
from vecsearch.types import NORM, VECTOR

BATCH_ROWS = 8192  # rows of a Parquet row group, and rows in memory at a time
Selected = Callable[[Snapshot], Positions]
METADATA = b"vecsearch"  # key of the manifest in the metadata of a Parquet file


def export_parquet(
    root: Path, target: Path, version: int | None = None, selected: Selected | None = None
) -> int:
    """Write the live rows of a version to one Parquet file.

    The file has all columns, vectors as they were given (float32), and in its metadata what else
    `import_parquet` needs. It has no index, and no model that is stored inside the collection.

    Args:
        root: The collection.
        target: The file; it must not exist.
        version: The version to write; None writes the latest.
        selected: Tells the rows to write; None writes all.

    Returns:
        The number of rows written.

    Raises:
        InvalidInputError: A column has a type that Parquet does not have.
        FilterError: The filter is wrong.
        CollectionNotFoundError: There is no collection at `root`.
        VersionNotFoundError: It does not have this version.
        CollectionExistsError: `target` exists.
        CorruptedError: A file of the collection is damaged.
        StorageError: Reading or writing failed.
    """
    snapshot = open_snapshot(root, OpenFiles(root), version)
    schema = _file_schema(snapshot.manifest)
    rows = snapshot.live.rows if selected is None else selected(snapshot)

    def write(path: Path) -> None:
        write_parquet(path, schema, rows_as_given(snapshot, rows))

    write_new_file(target, write)
    return len(rows)


def write_parquet(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write batches to a Parquet file; the number of their rows.

    Raises InvalidInputError for a column that Parquet cannot hold.
    """
    fields = [
        pa.field(field.name, pa.large_string()) if has_empty_struct(field.type) else field
        for field in schema
    ]
    schema = pa.schema(fields, schema.metadata)
    _require_parquet_types(schema)
    rows = 0
    try:
        with (
            pa.OSFile(str(path), "wb") as sink,
            pq.ParquetWriter(
                sink,
                schema,
                compression="zstd",
                write_page_checksum=True,
                **_encodings(schema),
            ) as writer,
        ):
            for batch in batches:
                writer.write_batch(_without_empty_structs(batch, schema))
                rows += batch.num_rows
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise InvalidInputError(f"the rows cannot be written as Parquet: {error}") from error
    return rows


def write_new_file(target: Path, write: Callable[[Path], None]) -> None:
    """Create a file that appears complete or not at all.

    Args:
        target: The file; it must not exist.
        write: Writes to the path it is given.

    Raises:
        CollectionExistsError: `target` exists.
        StorageError: Writing failed.
    """
    if target.exists():
        raise CollectionExistsError(f"{target} exists already: choose a name that is free")
    part = part_path(target)
    with disk.storage_errors("writing", target):
        lock = locks.try_lock_exclusive(part, create=True)  # says that its writer is alive
    try:
        disk.write_file(part, write)
        disk.move(part, target)
        disk.sync_folder(target.parent)
    finally:
        if lock is not None:
            lock.release()


def _file_schema(manifest: Manifest) -> pa.Schema:
    """The schema of a Parquet file: float32 vectors, and the manifest without files as metadata."""
    model = manifest.embedder
    described = replace(
        manifest,
        segments=(),
        indexes=(),
        vector_indexes={},
        embedder=model and replace(model, files=()),
    )
    at = manifest.schema.get_field_index(VECTOR)
    schema = manifest.schema.set(at, vector_field(manifest.dim, "float32"))
    return schema.with_metadata({METADATA: manifest_json.to_json(described)})


def _require_parquet_types(schema: pa.Schema) -> None:
    """Refuse a column whose type Parquet does not have, such as intervals."""
    for field in schema:
        try:
            pq.write_table(pa.schema([field]).empty_table(), pa.BufferOutputStream())
        except (pa.ArrowException, OSError) as error:
            raise InvalidInputError(
                f"column {field.name!r} cannot be written as Parquet: {field.type}: {error}; "
                "export to .arrow"
            ) from error


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """How columns are encoded: a dictionary of the numbers of vectors would only cost time, and
    zstd finds more in them when the bytes of equal significance stand together."""
    empty = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), empty)
    stored = pq.read_metadata(pa.BufferReader(empty.getvalue())).schema
    paths = [stored.column(number).path for number in range(len(stored))]
    of_vectors = [path for path in paths if path.split(".")[0] == VECTOR]
    return {
        "use_dictionary": [path for path in paths if path not in of_vectors] or False,
        "column_encoding": dict.fromkeys(of_vectors, "BYTE_STREAM_SPLIT") or None,
    }


def _without_empty_structs(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in that schema; columns with structs without fields become JSON text."""
    arrays = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if has_empty_struct(field.type):
            try:
                values = to_json(column)
            except NotInJsonError as error:
                raise InvalidInputError(
                    f"column {field.name!r} cannot be written as Parquet: {error}"
                ) from error
            texts = [None if value is None else json.dumps(value) for value in values]
            column = pa.array(texts, pa.large_string())
        arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, batch.schema.names).cast(schema)


def rows_as_given(
    snapshot: Snapshot, rows: Positions, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Rows, verified, with float32 vectors as they were given."""
    manifest = snapshot.manifest
    snapshot.verify()
    at = manifest.schema.get_field_index(VECTOR)
    for start in range(0, len(rows), batch_rows):
        batch = snapshot.take_stored(manifest.schema.names, rows[start : start + batch_rows])
        vectors = vector_array(decode_vectors(batch))
        yield batch.set_column(at, vector_field(manifest.dim, "float32"), vectors)


def import_parquet(source: Path, root: Path, limits: Limits = DEFAULT_LIMITS) -> int:
    """Create a collection from a file that `export_parquet` wrote.

    Ids, columns, passages, the embedder's fingerprint and settings are as they were; vectors to
    float32's precision (relative 1e-6).

    Args:
        source: The Parquet file.
        root: The folder of the new collection.
        limits: The size of a segment.

    Returns:
        The number of its rows.

    Raises:
        InvalidInputError: `export_parquet` did not write the file (`add` reads other files), or it
            was changed since.
        CollectionExistsError: `root` exists.
        CorruptedError: The file is damaged.
        StorageError: Reading or writing failed.
    """
    with disk.storage_errors("reading", source), _opened(source) as file:
        text = (file.schema_arrow.metadata or {}).get(METADATA)
        if text is None:
            raise InvalidInputError(
                f"{source} was not written by vecsearch export, or only some columns were",
                hint="create a collection and add the file to it",
                command_hint="make a collection of it with `vecsearch ingest`",
            )
        where = f"the metadata of {source}"
        manifest = manifest_json.from_json(text.decode(errors="replace"), where)
        with new_collection_folder(root) as part:
            first = replace(manifest, version=0).next("create")
            log.commit(part, first)
            store = Store(part, 0)
            batches = rebatch(
                _stored_rows(file, manifest), limits.segment_rows, limits.segment_bytes
            )
            with store.staging() as staging:
                entries = tuple(
                    entry for batch in batches for entry, _ in staging.write_rows_by_shard(batch)
                )
                store.commit(staging, first.next("import", segments=entries))
            _require_whole(part, source)
    return sum(entry.rows for entry in entries)


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; errors of Arrow become vecsearch's, also while it is read."""
    try:
        with pq.ParquetFile(source, page_checksum_verification=True) as file:
            yield file
    except (
        pa.ArrowInvalid,
        pa.ArrowTypeError,
        pa.ArrowNotImplementedError,
        pa.ArrowKeyError,
    ) as error:
        raise InvalidInputError(f"{source} cannot be read as Parquet: {error}") from error
    except OSError as error:
        if isinstance(error, VecsearchError) or error.errno is not None:
            raise
        raise CorruptedError(f"{source} is damaged: {error}") from error


def _stored_rows(file: pq.ParquetFile, manifest: Manifest) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file as a segment stores them."""
    different = set(manifest.schema.names) ^ set(file.schema_arrow.names)
    if different:
        raise InvalidInputError(
            f"column {sorted(different)[0]!r} is not in both the file and its description"
        )
    at = manifest.schema.get_field_index(VECTOR)
    field = vector_field(manifest.dim, "float32")
    for given in file.iter_batches(BATCH_ROWS):
        batch = given.select(manifest.schema.names)
        column = batch.column(at).cast(field.type)
        norms = batch.column(NORM).to_numpy() if NORM in batch.schema.names else None
        vectors = vector_view(column, manifest.dim)
        stored = encode_vectors(vectors, manifest.metric, manifest.dtype, norms)
        batch = batch.set_column(at, manifest.schema.field(at), stored[VECTOR])
        batch = with_empty_structs(batch, manifest.schema)
        yield batch.cast(manifest.schema)


def _require_whole(root: Path, source: Path) -> None:
    """Refuse rows that no collection could hold, such as two with the same id."""
    damages = find_damage(root)
    if damages:
        raise InvalidInputError(f"{source} does not hold a whole collection: {damages[0].what}")
