"""Delete rows and update metadata. Each is one commit under the writer's lock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Mask, Positions
from vecsearch.common.deadline import check_time
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.rows import RowChecker
from vecsearch.maintenance.new_values import changeable, new_value
from vecsearch.query.selection import Selector
from vecsearch.storage.exact import require_exact
from vecsearch.storage.manifest import IndexEntry, Manifest, replace
from vecsearch.storage.merge import SmallMerge
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging, delete_rows
from vecsearch.storage.store import Store
from vecsearch.types import DeleteResult, Id, UpdateResult

FIRST_IDS = 10  # that the result of a dry run names
FIRST_ROWS = 1000  # in which they are looked for
REWRITE_SHARE = 1 / 8
"""An update of at least this share of a segment that an index covers writes its columns again, so
that the index still covers it. So does one of at least this share of all rows that no index covers.
Other rows are copied to a new segment."""


def delete(
    store: Store, ids: Any, where: str | pc.Expression | None, *, dry_run: bool = False
) -> DeleteResult:
    """Delete whole documents by id, by filter, or those to which both apply.

    Unknown ids are counted, not an error. A dry run says what would be deleted.

    Raises InvalidInputError, FilterError, LockTimeoutError, StorageError.
    """
    if ids is None and where is None:
        raise InvalidInputError(
            "delete takes ids or a filter, or both to delete the documents to which both apply"
        )
    with changing(store, dry_run=dry_run) as (latest, staging):
        positions, missing = _selected(latest, where, ids)
        version = latest.manifest.version
        if staging is None:
            found = first_ids(latest, positions)
            return DeleteResult(documents_of(latest, positions), missing, version, found)
        if not len(positions):
            return DeleteResult(0, missing, version)
        segments = delete_rows(latest, positions, staging)
        after = latest.manifest.next("delete", segments=segments)
        check_time()
        store.commit(staging, after)
        return DeleteResult(latest.manifest.documents - after.documents, missing, after.version)


@contextmanager
def changing(store: Store, *, dry_run: bool) -> Iterator[tuple[Snapshot, Staging | None]]:
    """The latest version, locked, and a place for new files; in a dry run neither."""
    if dry_run:
        yield store.snapshot(), None
        return
    with store.locked() as latest, store.staging() as staging:
        yield latest, staging


def _selected(
    latest: Snapshot, where: str | pc.Expression | None, ids: Any
) -> tuple[Positions, int]:
    """The rows of documents that match, and how many of the ids no document has."""
    selector, missing = Selector(latest), 0
    if ids is not None:
        ids = selector.as_ids(ids).unique()
        missing = len(ids) - latest.documents_in(selector.select(None, ids))
    return whole_documents(latest, selector.select_documents(where, ids)), missing


def documents_of(latest: Snapshot, positions: Positions) -> int:
    """How many documents these rows belong to."""
    mask = np.zeros(latest.rows, bool)
    mask[positions] = True
    return latest.documents_in(RowSelection(mask, len(positions)))


def first_ids(latest: Snapshot, positions: Positions) -> tuple[Id, ...]:
    """The ids of the first few documents among rows, for the result of a dry run."""
    ids = pc.unique(latest.take([latest.manifest.id_column], positions[:FIRST_ROWS]).column(0))
    return tuple(ids[:FIRST_IDS].to_pylist())


def whole_documents(snapshot: Snapshot, selection: RowSelection) -> Positions:
    """All live rows of the documents that have a selected row."""
    if snapshot.manifest.documents == snapshot.manifest.rows - snapshot.manifest.deleted:
        return selection.rows  # each document is one row
    if not selection.count:
        return selection.rows
    ids = snapshot.take([snapshot.manifest.id_column], selection.rows).column(0)
    return snapshot.locate(pc.unique(ids))[1]


@dataclass(frozen=True)
class NewValues:
    """New values of columns.

    Attributes:
        columns: For each column an array, of one value for all documents, or one for each.
        given: Which values of a column were given; a column that is not in it: all.
        schema: The collection's columns, some of which may be wider for these values.
    """

    columns: Mapping[str, pa.Array]
    given: Mapping[str, Mask]
    schema: pa.Schema

    def of_all(self) -> pa.RecordBatch | None:
        """The values as one row, if they are the same for all documents."""
        if self.given or any(len(array) != 1 for array in self.columns.values()):
            return None
        schema = pa.schema([self.schema.field(name) for name in self.columns])
        return pa.RecordBatch.from_arrays(list(self.columns.values()), schema=schema)

    def put(self, batch: pa.RecordBatch, rows: Positions, owners: Positions) -> pa.RecordBatch:
        """`batch` with new values in `rows`; `owners` says which value each of them takes."""
        for name, values in self.columns.items():
            kept, chosen = rows, owners
            if name in self.given:
                mask = self.given[name][owners]
                kept, chosen = rows[mask], owners[mask]
            indices = np.arange(batch.num_rows)
            indices[kept] = batch.num_rows + np.arange(len(kept))
            at = batch.schema.names.index(name)
            both = pa.concat_arrays([batch.column(at), values.take(pa.array(chosen))])
            batch = batch.set_column(at, batch.schema.field(at), both.take(pa.array(indices)))
        return batch


def update(
    store: Store,
    where: str | pc.Expression | None,
    values: Mapping[str, Any],
    ids: Any = None,
    *,
    dry_run: bool = False,
) -> UpdateResult:
    """Set metadata columns to constants in the documents for which `where` is true.

    Args:
        store: The collection.
        where: A filter; None for all documents.
        values: The new value of each column.
        ids: The ids of documents; None for all. Both must hold.
        dry_run: Whether only to say what would be updated.

    Raises InvalidInputError, FilterError, LockTimeoutError, StorageError.
    """
    with changing(store, dry_run=dry_run) as (latest, staging):
        columns, schema = {}, latest.manifest.schema
        for name, value in values.items():
            array, field = new_value(changeable(latest.manifest, name), value)
            columns[name] = array
            schema = schema.set(schema.get_field_index(name), field)
        positions, missing = _selected(latest, where, ids)
        new = NewValues(columns, {}, schema)
        owners = np.zeros(len(positions), np.int64)
        return _put(store, latest, staging, positions, owners, new, missing)


def update_each(
    store: Store,
    where: str | pc.Expression | None,
    rows: pa.RecordBatch,
    given: Mapping[str, Mask],
    *,
    dry_run: bool = False,
) -> UpdateResult:
    """Set metadata columns of some documents, each to a value of its own.

    Args:
        store: The collection.
        where: A filter; documents that do not match stay as they are.
        rows: The ids, each once, and the new values.
        given: Which values of a column were given; a column that is not in it: all.
        dry_run: Whether only to say what would be updated.

    Raises InvalidInputError, FilterError, LockTimeoutError, StorageError.
    """
    with changing(store, dry_run=dry_run) as (latest, staging):
        checker = RowChecker(latest.manifest, None, None, None, partial=True)
        checked = checker.check(rows, 0).batch
        ids = checked.column(0)
        owners, positions = latest.locate(ids)
        missing = len(ids) - int(np.count_nonzero(np.diff(owners, prepend=-1)))
        if where is not None:
            kept = np.flatnonzero(_mask(latest, where, ids)[positions])
            owners, positions = owners[kept], positions[kept]
        order = np.argsort(positions)
        names = [name for name in rows.schema.names if name != latest.manifest.id_column]
        columns = {name: checked.column(name) for name in names}
        new = NewValues(columns, given, checker.schema())
        return _put(store, latest, staging, positions[order], owners[order], new, missing)


def _mask(latest: Snapshot, where: str | pc.Expression, ids: pa.Array) -> Mask:
    mask = Selector(latest).select_documents(where, ids).mask
    return np.ones(latest.rows, bool) if mask is None else mask


def _put(
    store: Store,
    latest: Snapshot,
    staging: Staging | None,
    positions: Positions,
    owners: Positions,
    values: NewValues,
    missing: int,
) -> UpdateResult:
    """Commit new values of rows; `owners` says which value each row takes."""
    version = latest.manifest.version
    wide = _widen(latest, values.schema) if len(positions) else latest
    if staging is None:
        documents = documents_of(latest, positions) if values.columns else 0
        found = first_ids(latest, positions) if values.columns else ()
        return UpdateResult(documents, version, missing, 0, found)
    if not len(positions) or not values.columns:
        return UpdateResult(0, version, missing)
    after, left = _update_in_place(wide, positions, owners, values, staging)
    merge = None
    if len(left):
        after = _append_updated(wide, after, positions[left], owners[left], values, staging)
        merge = SmallMerge(wide, staging, after, store.large_merges.beside(after))
        after = merge.apply(after)
    check_time()
    store.commit(staging, after)
    if merge is not None and merge.is_left:
        store.large_merges.start(store)
    return UpdateResult(documents_of(latest, positions), after.version, missing)


def _widen(latest: Snapshot, schema: pa.Schema) -> Snapshot:
    """The same rows, read in wider columns. Raises InvalidInputError if a value would change."""
    if schema.equals(latest.manifest.schema):
        return latest
    require_exact(latest, schema)
    return latest.read_as(schema)


def _update_in_place(
    latest: Snapshot,
    positions: Positions,
    owners: Positions,
    values: NewValues,
    staging: Staging,
) -> tuple[Manifest, Positions]:
    """Write the changed columns of the segments of which a large share changes.

    What no index covers counts as one segment: how it is divided depends on when a thread merges,
    and the order of the rows must not.

    Returns:
        The version, and which of `positions` are left.
    """
    segments, covered = list(latest.manifest.segments), latest.manifest.covered
    parts = list(latest.split(positions))
    others = sum(entry.live for entry in segments if entry.name not in covered)
    changed = sum(len(rows) for number, _, rows in parts if segments[number].name not in covered)
    renamed: dict[str, str] = {}
    left = [np.empty(0, np.int64)]
    for number, indices, rows in parts:
        check_time()
        entry = segments[number]
        some, of_all = (len(rows), entry.rows) if entry.name in covered else (changed, others)
        if some < REWRITE_SHARE * of_all:
            left.append(indices)
            continue
        new = values.of_all() if len(rows) == entry.rows else None
        if new is None:
            batch = latest.segments[number].select(values.columns)
            new = values.put(batch, rows, owners[indices])
        segments[number] = staging.write_columns(entry, new)
        renamed[entry.name] = segments[number].name
    version = latest.manifest.next(
        "update",
        segments=tuple(segments),
        **rename_covered(latest.manifest, renamed, values.columns),
    )
    return version, np.concatenate(left)


def _append_updated(
    latest: Snapshot,
    version: Manifest,
    positions: Positions,
    owners: Positions,
    values: NewValues,
    staging: Staging,
) -> Manifest:
    """Write updated copies of rows as new segments, and delete the old rows."""
    pieces, order = [], []
    for number, indices, rows in latest.split(positions):
        pieces.append(latest.segments[number].take(latest.manifest.schema.names, rows))
        order.append(owners[indices])
    batch = pa.concat_batches(pieces)
    new = values.put(batch, np.arange(batch.num_rows), np.concatenate(order))
    updated = [entry for entry, _ in staging.write_rows_by_shard(new)]
    after_delete = {entry.name: entry for entry in delete_rows(latest, positions, staging)}
    emptied = {entry.name for entry in latest.manifest.segments} - after_delete.keys()
    segments = [
        after_delete.get(entry.name, entry)
        for entry in version.segments
        if entry.name not in emptied
    ]
    return replace(version, segments=(*segments, *updated))


def rename_covered(
    manifest: Manifest, renamed: Mapping[str, str], changed: Collection[str] = ()
) -> dict[str, Any]:
    """The indexes after segments were rewritten under other names, as fields of a manifest.

    Those of named vectors that were `changed` are dropped if they cover one of these segments: they
    hold the vectors of before.
    """

    def follow(group: tuple[IndexEntry, ...]) -> tuple[IndexEntry, ...]:
        return tuple(
            replace(index, covers=tuple(renamed.get(name, name) for name in index.covers))
            for index in group
        )

    named = {
        name: follow(group)
        for name, group in manifest.vector_indexes.items()
        if name not in changed or not any(set(index.covers) & set(renamed) for index in group)
    }
    return {"indexes": follow(manifest.indexes), "vector_indexes": named}
