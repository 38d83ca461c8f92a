"""Delete rows, update metadata, and add columns. Each is one commit under the writer's lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Mask, Positions
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.query.selection import select_documents
from vecsearch.storage.ids import as_ids
from vecsearch.storage.layout import SEGMENTS
from vecsearch.storage.manifest import IndexEntry, Manifest, SegmentEntry, replace
from vecsearch.storage.schema import convert, metadata_schema, storage_type
from vecsearch.storage.segment import write_batch
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging, delete_rows
from vecsearch.storage.store import Store
from vecsearch.types import ID, RESERVED, VECTOR, DeleteResult, UpdateResult

REWRITE_SHARE = 1 / 8
"""An update of at least this share of a segment rewrites it in place, so that an index still covers
it. Other rows are copied to a new segment."""


def delete(store: Store, ids: Any, where: str | pc.Expression | None) -> DeleteResult:
    """Delete whole documents by id or by filter. Unknown ids are counted, not an error.

    Raises InvalidInputError, FilterError, LockTimeoutError, StorageError.
    """
    if (ids is None) == (where is None):
        raise InvalidInputError("delete takes ids or a filter, one of them")
    with store.locked() as latest, store.staging() as staging:
        if ids is not None:
            wanted = as_ids(ids, latest.manifest.schema.field(ID).type).unique()
            owners, positions = latest.locate(wanted)
            missing = len(wanted) - len(np.unique(owners))
        else:
            positions, missing = whole_documents(latest, select_documents(latest, where)), 0
        if not len(positions):
            return DeleteResult(0, missing, latest.manifest.version)
        segments = delete_rows(latest, positions, staging)
        version = latest.manifest.next("delete", segments=segments)
        store.commit(staging, version)
        return DeleteResult(latest.manifest.documents - version.documents, missing, version.version)


def whole_documents(snapshot: Snapshot, selection: RowSelection) -> Positions:
    """All live rows of the documents that have a selected row."""
    if snapshot.manifest.documents == snapshot.manifest.rows - snapshot.manifest.deleted:
        return selection.rows  # each document is one row
    if not selection.count:
        return selection.rows
    return snapshot.locate(pc.unique(snapshot.take([ID], selection.rows).column(0)))[1]


def update(
    store: Store, where: str | pc.Expression | None, values: Mapping[str, Any]
) -> UpdateResult:
    """Set metadata columns to constants in the documents for which `where` is true.

    Args:
        store: The collection.
        where: A filter; None updates all documents.
        values: The new value of each column.

    Raises InvalidInputError, FilterError, LockTimeoutError, StorageError.
    """
    with store.locked() as latest, store.staging() as staging:
        scalars = {name: _scalar(latest.manifest, name, value) for name, value in values.items()}
        positions = whole_documents(latest, select_documents(latest, where))
        if not len(positions) or not scalars:
            return UpdateResult(0, latest.manifest.version)
        version, moved = _update_in_place(latest, positions, scalars, staging)
        if len(moved):
            version = _append_updated(latest, version, moved, scalars, staging)
        store.commit(staging, version)
        mask = np.zeros(latest.rows, bool)
        mask[positions] = True
        documents = latest.documents_in(RowSelection(mask, len(positions)))
        return UpdateResult(documents, version.version)


def _update_in_place(
    latest: Snapshot, positions: Positions, values: Mapping[str, pa.Scalar], staging: Staging
) -> tuple[Manifest, Positions]:
    """Rewrite the segments of which a large share changes; also the positions that are left."""
    segments = list(latest.manifest.segments)
    renamed: dict[str, str] = {}
    left = [np.empty(0, np.int64)]
    for number, _, rows in latest.split(positions):
        entry = segments[number]
        if len(rows) < REWRITE_SHARE * entry.rows:
            left.append(rows + latest.starts[number])
            continue
        mask = np.zeros(entry.rows, bool)
        mask[rows] = True
        batch = latest.segments[number].select(latest.manifest.schema.names)
        segments[number] = _rewrite(staging, entry, _with_values(batch, values, mask))
        renamed[entry.name] = segments[number].name
    version = latest.manifest.next(
        "update", segments=tuple(segments), indexes=_rename_covered(latest.manifest, renamed)
    )
    return version, np.concatenate(left)


def _append_updated(
    latest: Snapshot,
    version: Manifest,
    positions: Positions,
    values: Mapping[str, pa.Scalar],
    staging: Staging,
) -> Manifest:
    """Write updated copies of rows as a new segment, and delete the old rows."""
    pieces = [
        latest.segments[number].take(latest.manifest.schema.names, rows)
        for number, _, rows in latest.split(positions)
    ]
    batch = pa.concat_batches(pieces)
    updated = staging.write_segment(_with_values(batch, values, np.ones(batch.num_rows, bool)))
    after_delete = {entry.name: entry for entry in delete_rows(latest, positions, staging)}
    emptied = {entry.name for entry in latest.manifest.segments} - after_delete.keys()
    segments = [
        after_delete.get(entry.name, entry)
        for entry in version.segments
        if entry.name not in emptied
    ]
    return replace(version, segments=(*segments, updated))


def _scalar(manifest: Manifest, name: str, value: Any) -> pa.Scalar:
    """A value as its column stores it. Raises InvalidInputError."""
    changeable = [
        field.name
        for field in metadata_schema(manifest.schema)
        if field.name not in (ID, manifest.text_column)
    ]
    if name not in changeable:
        if name in (ID, VECTOR, manifest.text_column):
            raise InvalidInputError(
                f"column {name!r} cannot be updated in place: "
                'add the document again with on_conflict="replace"'
            )
        raise InvalidInputError(
            f"there is no column {name!r} (add_column makes one){did_you_mean(name, changeable)}"
        )
    field = manifest.schema.field(name)
    try:
        array = pa.array([value]) if value is not None else pa.nulls(1, field.type)
        return convert(array, field, 0)[0]
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InvalidInputError(
            f"column {name!r}: {value!r} cannot be stored as {field.type}"
        ) from error


def _with_values(
    batch: pa.RecordBatch, values: Mapping[str, pa.Scalar], mask: Mask
) -> pa.RecordBatch:
    """Rows with new values in the rows of `mask`."""
    for name, value in values.items():
        at = batch.schema.names.index(name)
        changed = pc.if_else(pa.array(mask), value, batch.column(at))
        batch = batch.set_column(at, batch.schema.field(at), changed)
    return batch


def _rewrite(staging: Staging, entry: SegmentEntry, batch: pa.RecordBatch) -> SegmentEntry:
    """The same rows in the same order with other metadata: ids, tombstones and labels still fit."""
    file = staging.write(SEGMENTS, ".arrow", lambda path: write_batch(path, batch))
    return replace(entry, file=file)


def _rename_covered(manifest: Manifest, renamed: Mapping[str, str]) -> tuple[IndexEntry, ...]:
    """The indexes after segments were rewritten under other names."""
    return tuple(
        replace(index, covers=tuple(renamed.get(name, name) for name in index.covers))
        for index in manifest.indexes
    )


def add_column(store: Store, name: str, kind: pa.DataType, value: Any) -> int:
    """Add a metadata column that holds `value` in every row; the version committed.

    Raises InvalidInputError, LockTimeoutError, StorageError.
    """
    with store.locked() as latest, store.staging() as staging:
        manifest = latest.manifest
        if name in manifest.schema.names or name in RESERVED or not name:
            raise InvalidInputError(f"column {name!r} cannot be added: the name is taken")
        field = pa.field(name, storage_type(kind))
        try:
            scalar = pa.scalar(value, field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise InvalidInputError(
                f"column {name!r}: {value!r} cannot be stored as {field.type}"
            ) from error
        at = len(metadata_schema(manifest.schema))
        segments, renamed = [], {}
        for segment, entry in zip(latest.segments, manifest.segments, strict=True):
            batch = segment.select(manifest.schema.names)
            column = pa.repeat(scalar, batch.num_rows)
            segments.append(_rewrite(staging, entry, batch.add_column(at, field, column)))
            renamed[entry.name] = segments[-1].name
        version = manifest.next(
            "add_column",
            schema=manifest.schema.insert(at, field),
            segments=tuple(segments),
            indexes=_rename_covered(manifest, renamed),
        )
        store.commit(staging, version)
        return version.version
