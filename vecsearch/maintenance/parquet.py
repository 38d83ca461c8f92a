"""A collection as one Parquet file, and back."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecsearch.errors import (
    CollectionExistsError,
    CorruptedError,
    InvalidInputError,
    VecsearchError,
)
from vecsearch.ingest.add import SEGMENT_BYTES, SEGMENT_ROWS
from vecsearch.maintenance.check import find_damage
from vecsearch.storage import disk, log, manifest_json
from vecsearch.storage.folders import new_collection_folder
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.schema import vector_array, vector_type, vector_view
from vecsearch.storage.snapshot import Snapshot, open_snapshot
from vecsearch.storage.store import Store
from vecsearch.types import NORM, VECTOR, Metric

BATCH_ROWS = 8192  # rows of a Parquet row group, and rows in memory at a time
METADATA = b"vecsearch"  # key of the manifest in a Parquet file


def export_parquet(root: Path, target: Path, version: int | None = None) -> int:
    """Write the live rows of a version to one Parquet file; how many they are.

    All columns, vectors as they were given (float32), and in the file's metadata what else `import_parquet` needs to make the
    same collection again. Indexes are not in it, nor is a model that lies inside the collection. Raises InvalidInputError for a
    column type that Parquet does not have, CollectionNotFoundError, VersionNotFoundError, CollectionExistsError,
    CorruptedError, StorageError.
    """
    snapshot = open_snapshot(root, OpenFiles(root), version)
    if target.exists():
        raise CollectionExistsError(f"{target} is there already: choose a name that is free")
    model = snapshot.manifest.embedder
    manifest = replace(
        snapshot.manifest, segments=(), indexes=(), embedder=model and replace(model, files=())
    )
    at = manifest.schema.get_field_index(VECTOR)
    schema = manifest.schema.set(
        at, pa.field(VECTOR, vector_type(manifest.dim, "float32"), nullable=False)
    )
    schema = schema.with_metadata({METADATA: manifest_json.to_json(manifest)})

    def write(path: Path) -> None:
        with (
            pa.OSFile(str(path), "wb") as sink,
            pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            for batch in _given(snapshot):
                writer.write_batch(batch.cast(schema))

    part = target.with_name(f".{target.name}-{uuid.uuid4().hex}.part")
    try:
        disk.write_file(part, write)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise InvalidInputError(f"{root} cannot be written as Parquet: {error}") from error
    disk.move(part, target)
    disk.sync_folder(target.parent)
    return snapshot.manifest.rows - snapshot.manifest.deleted


def _given(snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
    """The live rows, verified, with float32 vectors as long as they were given."""
    manifest = snapshot.manifest
    for segment in snapshot.segments:
        segment.file.verify_all()
    rows = snapshot.live.rows
    names = [name for name in manifest.schema.names if name != VECTOR]
    for at in range(0, len(rows), BATCH_ROWS):
        some = rows[at : at + BATCH_ROWS]
        batch = snapshot.take(names, some)
        vectors = snapshot.stored_vectors(some)
        if manifest.metric is Metric.COSINE:
            vectors = vectors * batch.column(NORM).to_numpy()[:, None]
        field = pa.field(VECTOR, vector_type(manifest.dim, "float32"), nullable=False)
        yield batch.add_column(
            manifest.schema.get_field_index(VECTOR), field, vector_array(vectors)
        )


def import_parquet(source: Path, root: Path) -> int:
    """Make a collection of a file that `export_parquet` wrote; the number of its rows.

    Ids, columns, passages, the embedder's fingerprint and settings are as they were; vectors to float32's precision (relative
    1e-6). Raises InvalidInputError for another kind of file (`add` takes those), CollectionExistsError, StorageError.
    """
    with disk.storage_errors("reading", source), _reading(source) as file:
        text = (file.schema_arrow.metadata or {}).get(METADATA)
        if text is None:
            raise InvalidInputError(
                f"{source} was not written by vecsearch export",
                hint="create a collection and add the file to it",
                command_hint="make a collection of it with `vecsearch ingest`",
            )
        manifest = manifest_json.from_json(
            text.decode(errors="replace"), f"the metadata of {source}"
        )
        with new_collection_folder(root) as part:
            first = replace(manifest, version=0).next("create")
            log.commit(part, first)
            store = Store(part, 0)
            with store.staging() as staging:
                entries = tuple(staging.write_segment(batch) for batch in _segments(file, manifest))
                store.commit(staging, first.next("import", segments=entries))
            damages = find_damage(part)
            if damages:
                raise InvalidInputError(
                    f"{source} does not hold a whole collection: {damages[0].what}"
                )
            return sum(entry.rows for entry in entries)


@contextlib.contextmanager
def _reading(source: Path) -> Iterator[pq.ParquetFile]:
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


def _segments(file: pq.ParquetFile, manifest: Manifest) -> Iterator[pa.RecordBatch]:
    """The rows as they are stored, in batches of the size of a segment."""
    missing = set(manifest.schema.names) ^ set(file.schema_arrow.names)
    if missing:
        raise InvalidInputError(
            f"column {sorted(missing)[0]!r} is not in both the file and its description"
        )
    waiting: list[pa.RecordBatch] = []
    for batch in file.iter_batches(BATCH_ROWS):
        waiting.append(_as_stored(batch.select(manifest.schema.names), manifest))
        if (
            sum(item.num_rows for item in waiting) >= SEGMENT_ROWS
            or sum(item.nbytes for item in waiting) >= SEGMENT_BYTES
        ):
            yield pa.concat_batches(waiting)
            waiting = []
    if waiting:
        yield pa.concat_batches(waiting)


def _as_stored(batch: pa.RecordBatch, manifest: Manifest) -> pa.RecordBatch:
    at = batch.schema.get_field_index(VECTOR)
    vectors = vector_view(batch.column(at).cast(vector_type(manifest.dim, "float32")), manifest.dim)
    if manifest.metric is Metric.COSINE:
        norms = batch.column(NORM).to_numpy()
        vectors = vectors / norms[:, None]
    column = vector_array(np.ascontiguousarray(vectors, np.dtype(manifest.dtype)))
    return batch.set_column(at, manifest.schema.field(at), column).cast(manifest.schema)
