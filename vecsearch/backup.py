"""Take a collection elsewhere: as a backup, which is a collection itself, or as one Parquet file that anything reads.

Both work on one version, held against removal, while others write. What is being made has another name until it is whole, so
nothing half done is ever taken for a backup.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecsearch import disk, manifest
from vecsearch.check import check
from vecsearch.disk import CheckedFile
from vecsearch.errors import CollectionExistsError, CorruptedError, InvalidInputError, VecsearchError
from vecsearch.ingest import SEGMENT_BYTES, SEGMENT_ROWS
from vecsearch.manifest import INDEXES, MANIFESTS, SEGMENTS, STAGING, Manifest
from vecsearch.segment import vector_array, vector_type, vector_view
from vecsearch.snapshot import OpenFiles, Snapshot, open_snapshot
from vecsearch.store import Store
from vecsearch.types import NORM, VECTOR, Metric

BATCH_ROWS = 8192  # rows of a Parquet row group, and rows in memory at a time
METADATA = b"vecsearch"  # key of the manifest in a Parquet file


def backup(root: Path, target: Path, version: int | None = None) -> int:
    """Copy a version (the latest) of a collection to a new folder; the version's number.

    Every byte is compared with its checksum on the way. Writing to the collection may go on. A backup is a collection of one
    version: `open` searches it, and `backup` from it to a free place restores it.
    Raises CollectionNotFoundError, VersionNotFoundError, CollectionExistsError, CorruptedError, StorageError.
    """
    snapshot = open_snapshot(root, OpenFiles(root), version)
    if target.resolve().is_relative_to(root.resolve()):
        raise InvalidInputError(f"{target} lies inside the collection: choose a place outside")
    refs = {ref.name: ref for ref in snapshot.facts.files()}
    with in_the_making(target) as part:
        disk.require_space(part, sum(ref.bytes for ref in refs.values()))
        for name, ref in refs.items():
            with disk.storage_errors("writing", target):
                (part / name).parent.mkdir(parents=True, exist_ok=True)  # a model's folder
            source = CheckedFile(root, ref)
            source.verify_all()
            disk.write_bytes(part / name, memoryview(source.buffer))
            if disk.describe(part, part / name, name) != ref:
                raise CorruptedError(f"{target / name} was not written as it was read: try another disk")
        disk.write_text(manifest.path_of(part, snapshot.facts.version), manifest.to_json(snapshot.facts))
    return snapshot.facts.version


@contextlib.contextmanager
def in_the_making(target: Path) -> Iterator[Path]:
    """The folders of a collection under a passing name; it gets its own when the block ends well."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise CollectionExistsError(f"{target} is there already: choose a name that is free")
    part = target.with_name(f".{target.name}-{uuid.uuid4().hex}.part")
    try:
        with disk.storage_errors("writing", target):
            for name in (MANIFESTS, SEGMENTS, INDEXES, STAGING):
                (part / name).mkdir(parents=True)
        yield part
        for folder in sorted({path for path in part.rglob("*") if path.is_dir()} | {part}, reverse=True):
            disk.sync_folder(folder)
        disk.move(part, target)
        disk.sync_path(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


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
    model = snapshot.facts.embedder
    facts = replace(snapshot.facts, segments=(), indexes=(), embedder=model and replace(model, files=()))
    at = facts.schema.get_field_index(VECTOR)
    schema = facts.schema.set(at, pa.field(VECTOR, vector_type(facts.dim, "float32"), nullable=False))
    schema = schema.with_metadata({METADATA: manifest.to_json(facts)})

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
    return snapshot.facts.rows - snapshot.facts.deleted


def _given(snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
    """The live rows, verified, with float32 vectors as long as they were given."""
    facts = snapshot.facts
    for segment in snapshot.segments:
        segment.file.verify_all()
    rows = snapshot.live.rows
    names = [name for name in facts.schema.names if name != VECTOR]
    for at in range(0, len(rows), BATCH_ROWS):
        some = rows[at : at + BATCH_ROWS]
        batch = snapshot.take(names, some)
        vectors = snapshot.stored_vectors(some)
        if facts.metric is Metric.COSINE:
            vectors = vectors * batch.column(NORM).to_numpy()[:, None]
        field = pa.field(VECTOR, vector_type(facts.dim, "float32"), nullable=False)
        yield batch.add_column(facts.schema.get_field_index(VECTOR), field, vector_array(vectors))


def restore(source: Path, target: Path) -> int:
    """Make a collection at `target`, where nothing is yet, of a backup or of a file that `export_parquet` wrote; its rows.

    Another thing than `Collection.restore`, which goes back to an older version of the same collection. Raises
    CollectionNotFoundError, CollectionExistsError, InvalidInputError, CorruptedError, StorageError.
    """
    if source.is_file():
        return import_parquet(source, target)
    version = backup(source, target)
    facts = manifest.load(target, version)
    return facts.rows - facts.deleted


def import_parquet(source: Path, root: Path) -> int:
    """Make a collection of a file that `export_parquet` wrote; the number of its rows.

    Ids, columns, passages, the embedder's fingerprint and settings are as they were; vectors to float32's precision (relative
    1e-6). Raises InvalidInputError for another kind of file (`add` takes those), CollectionExistsError, StorageError.
    """
    with disk.storage_errors("reading", source), _reading(source) as file:
        text = (file.schema_arrow.metadata or {}).get(METADATA)
        if text is None:
            raise InvalidInputError(f"{source} was not written by vecsearch export: create a collection and add the file to it")
        facts = manifest.from_json(text.decode(errors="replace"), f"the metadata of {source}")
        with in_the_making(root) as part:
            first = replace(facts, version=0).next("create")
            manifest.commit(part, first)
            store = Store(part, 0)
            with store.staging() as staging:
                entries = tuple(staging.write_segment(batch) for batch in _segments(file, facts))
                store.commit(staging, first.next("import", segments=entries))
            damages = check(part)
            if damages:
                raise InvalidInputError(f"{source} does not hold a whole collection: {damages[0].what}")
            return sum(entry.rows for entry in entries)


@contextlib.contextmanager
def _reading(source: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(source, page_checksum_verification=True) as file:
            yield file
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, pa.ArrowKeyError) as error:
        raise InvalidInputError(f"{source} cannot be read as Parquet: {error}") from error
    except OSError as error:
        if isinstance(error, VecsearchError) or error.errno is not None:
            raise
        raise CorruptedError(f"{source} is damaged: {error}") from error


def _segments(file: pq.ParquetFile, facts: Manifest) -> Iterator[pa.RecordBatch]:
    """The rows as they are stored, in batches of the size of a segment."""
    missing = set(facts.schema.names) ^ set(file.schema_arrow.names)
    if missing:
        raise InvalidInputError(f"column {sorted(missing)[0]!r} is not in both the file and its description")
    waiting: list[pa.RecordBatch] = []
    for batch in file.iter_batches(BATCH_ROWS):
        waiting.append(_as_stored(batch.select(facts.schema.names), facts))
        if sum(item.num_rows for item in waiting) >= SEGMENT_ROWS or sum(item.nbytes for item in waiting) >= SEGMENT_BYTES:
            yield pa.concat_batches(waiting)
            waiting = []
    if waiting:
        yield pa.concat_batches(waiting)


def _as_stored(batch: pa.RecordBatch, facts: Manifest) -> pa.RecordBatch:
    at = batch.schema.get_field_index(VECTOR)
    vectors = vector_view(batch.column(at).cast(vector_type(facts.dim, "float32")), facts.dim)
    if facts.metric is Metric.COSINE:
        norms = batch.column(NORM).to_numpy()
        vectors = vectors / norms[:, None]
    column = vector_array(np.ascontiguousarray(vectors, np.dtype(facts.dtype)))
    return batch.set_column(at, facts.schema.field(at), column).cast(facts.schema)
