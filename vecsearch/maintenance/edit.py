"""Change what is there: delete, update, add a column, compact, restore. Each is one commit under the writer's lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Positions
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.query.selection import select_rows
from vecsearch.storage.ids import as_ids
from vecsearch.storage.layout import SEGMENTS
from vecsearch.storage.manifest import IndexEntry, Manifest, SegmentEntry
from vecsearch.storage.schema import convert, metadata_schema, storage_type
from vecsearch.storage.segment import write_batch
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging, delete_rows
from vecsearch.storage.store import Store
from vecsearch.types import ID, RESERVED, VECTOR, DeleteResult, UpdateResult

REWRITE_SHARE = (
    1 / 8
)  # an update of a larger share of a segment rewrites it in place, so that the index goes on covering it
Values = Mapping[str, Any]


def delete(
    store: Store, ids: Sequence[int | str] | None, where: str | pc.Expression | None
) -> DeleteResult:
    """Delete whole documents by id or by filter. Ids that are not there are counted, not an error."""
    if (ids is None) == (where is None):
        raise InvalidInputError("delete takes ids or a filter, one of them")
    with store.locked() as latest, store.staging() as staging:
        if ids is not None:
            wanted = as_ids(ids, latest.manifest.schema.field(ID).type).unique()
            owners, positions = latest.locate(wanted)
            missing = len(wanted) - len(np.unique(owners))
        else:
            positions, missing = whole_documents(latest, select_rows(latest, where)), 0
        if not len(positions):
            return DeleteResult(0, missing, latest.manifest.version)
        segments = delete_rows(latest, positions, staging)
        version = latest.manifest.next("delete", segments=segments)
        store.commit(staging, version)
        return DeleteResult(latest.manifest.documents - version.documents, missing, version.version)


def whole_documents(snapshot: Snapshot, selection: RowSelection) -> Positions:
    """All live rows of the documents that have a kept row."""
    if snapshot.manifest.documents == snapshot.manifest.rows - snapshot.manifest.deleted:
        return selection.rows  # one row a document
    if not selection.count:
        return selection.rows
    return snapshot.locate(pc.unique(snapshot.take([ID], selection.rows).column(0)))[1]


def update(store: Store, where: str | pc.Expression | None, values: Values) -> UpdateResult:
    """Set metadata columns to constants in the documents for which `where` is true (all of them, when None)."""
    with store.locked() as latest, store.staging() as staging:
        arrays = {name: _constant(latest.manifest, name, value) for name, value in values.items()}
        positions = whole_documents(latest, select_rows(latest, where))
        if not len(positions) or not arrays:
            return UpdateResult(0, latest.manifest.version)
        segments: list[SegmentEntry] = list(latest.manifest.segments)
        renamed: dict[str, str] = {}
        moved: list[Positions] = []
        for number, _, rows in latest.split(positions):
            if len(rows) < REWRITE_SHARE * segments[number].rows:
                moved.append(rows + latest.starts[number])
                continue
            mask = np.zeros(segments[number].rows, bool)
            mask[rows] = True
            batch = latest.segments[number].select(latest.manifest.schema.names)
            fresh = rewrite(staging, segments[number], _replaced(batch, arrays, mask))
            renamed[segments[number].name] = fresh.name
            segments[number] = fresh
        version = latest.manifest.next(
            "update", segments=tuple(segments), indexes=_covering(latest.manifest, renamed)
        )
        if moved:
            version = _append_changed(latest, version, np.concatenate(moved), arrays, staging)
        store.commit(staging, version)
        changed = latest.documents_in(RowSelection(_mask(latest.rows, positions), len(positions)))
        return UpdateResult(changed, version.version)


def _append_changed(
    latest: Snapshot,
    version: Manifest,
    positions: Positions,
    arrays: Mapping[str, pa.Scalar],
    staging: Staging,
) -> Manifest:
    """Write changed copies of some rows as a new segment and bury the old ones."""
    pieces = [
        latest.segments[number].take(latest.manifest.schema.names, rows)
        for number, _, rows in latest.split(positions)
    ]
    batch = pa.concat_batches(pieces)
    entry = staging.write_segment(_replaced(batch, arrays, np.ones(batch.num_rows, bool)))
    after = delete_rows(latest, positions, staging)
    by_name = {item.name: item for item in after}
    gone = {item.name for item in latest.manifest.segments} - by_name.keys()
    segments = [by_name.get(item.name, item) for item in version.segments if item.name not in gone]
    return replace(version, segments=(*segments, entry))


def _mask(rows: int, positions: Positions) -> npt.NDArray[np.bool_]:
    mask = np.zeros(rows, bool)
    mask[positions] = True
    return mask


def _constant(manifest: Manifest, name: str, value: Any) -> pa.Scalar:
    changeable = [
        field.name
        for field in metadata_schema(manifest.schema)
        if field.name not in (ID, manifest.text_column)
    ]
    if name not in changeable:
        if name in (ID, VECTOR, manifest.text_column):
            raise InvalidInputError(
                f'column {name!r} cannot be updated in place: add the document again with on_conflict="replace"'
            )
        raise InvalidInputError(
            f"there is no column {name!r} (add_column makes one){did_you_mean(name, changeable)}"
        )
    field = manifest.schema.field(name)
    try:
        return convert(
            pa.array([value]) if value is not None else pa.nulls(1, field.type), field, 0
        )[0]
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InvalidInputError(
            f"column {name!r}: {value!r} cannot be stored as {field.type}"
        ) from error


def _replaced(
    batch: pa.RecordBatch, values: Mapping[str, pa.Scalar], mask: npt.NDArray[np.bool_]
) -> pa.RecordBatch:
    for name, value in values.items():
        at = batch.schema.names.index(name)
        changed = pc.if_else(pa.array(mask), value, batch.column(at))
        batch = batch.set_column(at, batch.schema.field(at), changed)
    return batch


def rewrite(staging: Staging, entry: SegmentEntry, batch: pa.RecordBatch) -> SegmentEntry:
    """The same rows in the same order with other metadata: ids, tombstones and labels stay good."""
    file = staging.write(SEGMENTS, ".arrow", lambda path: write_batch(path, batch))
    return replace(entry, file=file)


def _covering(manifest: Manifest, renamed: Mapping[str, str]) -> tuple[IndexEntry, ...]:
    return tuple(
        replace(index, covers=tuple(renamed.get(name, name) for name in index.covers))
        for index in manifest.indexes
    )


def add_column(store: Store, name: str, kind: pa.DataType, value: Any) -> int:
    """Add a metadata column, holding `value` in every row; the version committed."""
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
        schema = manifest.schema.insert(at, field)
        segments, renamed = [], {}
        for segment, entry in zip(latest.segments, manifest.segments, strict=True):
            batch = segment.select(manifest.schema.names)
            column = pa.repeat(scalar, batch.num_rows)
            fresh = rewrite(staging, entry, batch.add_column(at, field, column))
            renamed[entry.name] = fresh.name
            segments.append(fresh)
        version = manifest.next(
            "add_column",
            schema=schema,
            segments=tuple(segments),
            indexes=_covering(manifest, renamed),
        )
        store.commit(staging, version)
        return version.version
