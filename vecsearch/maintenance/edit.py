"""Delete rows, update metadata, and add columns. Each is one commit under the writer's lock."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Mask, Positions
from vecsearch.common.deadline import check_time
from vecsearch.common.json_arrays import from_json, needs_type
from vecsearch.common.json_column import NotJsonError, as_json, is_json, type_name
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.rows import RowChecker, check_times
from vecsearch.ingest.sources.dicts import to_array, to_batch
from vecsearch.ingest.sources.plain import plain_array
from vecsearch.ingest.sources.row_types import Block, Columns
from vecsearch.ingest.sources.values import row_name
from vecsearch.query.selection import Selector
from vecsearch.storage.exact import require_exact
from vecsearch.storage.manifest import IndexEntry, Manifest, replace
from vecsearch.storage.merge import SmallMerge
from vecsearch.storage.named_vectors import vector_column
from vecsearch.storage.schema import check_column_name, convert, metadata_schema, storable_type
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging, delete_rows
from vecsearch.storage.store import Store
from vecsearch.storage.text_files import text_columns
from vecsearch.storage.widening import is_widening
from vecsearch.types import VECTOR, DeleteResult, Id, UpdateResult

_CONVERSION_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)
FIRST_IDS = 10  # that the result of a dry run names
FIRST_ROWS = 1000  # in which they are looked for
REWRITE_SHARE = 1 / 8
"""An update of at least this share of a segment writes its columns again, so that an index still
covers it. Other rows are copied to a new segment."""


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

    Returns:
        The version, and which of `positions` are left.
    """
    segments = list(latest.manifest.segments)
    renamed: dict[str, str] = {}
    left = [np.empty(0, np.int64)]
    for number, indices, rows in latest.split(positions):
        check_time()
        entry = segments[number]
        if len(rows) < REWRITE_SHARE * entry.rows:
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
        **_rename_covered(latest.manifest, renamed, values.columns),
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


def changeable(manifest: Manifest, name: str) -> pa.Field:
    """A column that may change in place. Raises InvalidInputError for any other name."""
    changeable = [
        field.name
        for field in metadata_schema(manifest.schema)
        if field.name not in (manifest.id_column, *manifest.read_columns)
    ]
    if name in changeable:
        return manifest.schema.field(name)
    if name in (manifest.id_column, VECTOR, *manifest.read_columns):
        raise InvalidInputError(
            f"column {name!r} cannot be changed in place",
            hint='add the document again with on_conflict="replace"',
            command_hint="ingest the document again with --on-conflict replace",
        )
    raise InvalidInputError(
        f"there is no column {shown(name)}{did_you_mean(name, changeable)}",
        hint="add_column makes a new one",
        command_hint="`vecsearch add-column` makes a new one",
    )


def _require_not_searched(manifest: Manifest, name: str) -> None:
    """Raises InvalidInputError for a column that is searched by words."""
    if name in text_columns(manifest):
        raise InvalidInputError(
            f"column {name!r} is searched by words",
            hint="call build_text_index with other columns first",
            command_hint="run `vecsearch build-text` with other columns first",
        )


def new_value(field: pa.Field, value: Any, *, fixed: bool = False) -> tuple[pa.Array, pa.Field]:
    """A value as its column stores it, and the column, which may become wider for it.

    Raises InvalidInputError for a value that does not fit, or is not of the `fixed` type.
    """
    if value is None:
        return pa.nulls(1, field.type), field
    given = _as_array(field, value)
    try:
        array, wider = convert(given, field, 0)
        if fixed and wider.type != field.type:
            raise InvalidInputError(f"column {field.name!r}: {shown(value)} is not a {field.type}")
        check_times(pa.record_batch([array], names=[field.name]), 0)
    except InvalidInputError as error:  # it is no row of data
        error.args = (str(error.args[0]).removeprefix("row 0, "), *error.args[1:])
        raise
    return array, wider


def value_of_text(schema: pa.Schema, name: str, text: str) -> Any:
    """A value that was typed: a text is as it is, others are as `export` writes them in JSON lines.

    Raises InvalidInputError for another value, or where there is no such column.
    """
    if name not in schema.names:
        return text  # the update says what is wrong with the name
    kind = schema.field(name).type
    if pa.types.is_large_string(kind):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text  # such as a date, which needs no quotes
    except RecursionError as error:
        raise InvalidInputError(f"column {name!r}: {shown(text)} is too deep") from error
    return value_of_json(schema, name, value)


def value_of_json(schema: pa.Schema, name: str, value: Any) -> Any:
    """A column's new value, or several, from JSON: dates are in ISO 8601, bytes in base64.

    Raises InvalidInputError for another value.
    """
    if value is None or name not in schema.names or not needs_type(schema.field(name).type):
        return value
    kind = schema.field(name).type
    several = isinstance(value, list) and not pa.types.is_nested(kind)
    try:
        found = from_json(value if several else [value], kind)
    except (ValueError, TypeError, AttributeError, KeyError, pa.ArrowException) as error:
        raise InvalidInputError(
            f"column {name!r}: {shown(value)} is not a value of {kind}", hint="write it as JSON"
        ) from error
    return list(found) if several else found[0]  # Arrow's: Python has no nanoseconds


def _as_array(field: pa.Field, value: Any) -> pa.Array:
    """One value as an Arrow array, by the rules of `add` where they know its type."""
    try:
        if isinstance(value, pa.Scalar):
            return plain_array(pa.repeat(value, 1), storable_type(field.name, value.type))
        if isinstance(value, pa.Array | pa.ChunkedArray):
            value = value.to_pylist()
        if is_json(field.type):
            return to_array([value], field, [0], row_name)
        if pa.types.is_map(field.type):
            return to_array([value], field, [0], row_name)
        block, columns = Block([0], [{field.name: value}]), Columns(row_name)
        columns.see(block)
        return to_batch(block, columns.schema(None), row_name).column(0)
    except InvalidInputError as error:
        raise InvalidInputError(str(error).removeprefix("row 0, ")) from error
    except _CONVERSION_ERRORS as error:
        raise InvalidInputError(
            f"column {field.name!r}: {shown(value)} cannot be stored as {type_name(field.type)}: "
            f"{error}"
        ) from error


def _rename_covered(
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


def _without_indexes_of(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a manifest without the indexes of a column's vectors."""
    named = {key: group for key, group in fields["vector_indexes"].items() if key != name}
    return {**fields, "vector_indexes": named}


def add_column(store: Store, name: str, kind: pa.DataType | str, value: Any) -> int:
    """Add a metadata column that holds `value` in every row; the version committed.

    One value a segment is written, and nothing else. Without a value only the manifest changes:
    rows of older segments have none.

    Raises InvalidInputError, LockTimeoutError, StorageError.
    """
    with store.locked() as latest, store.staging() as staging:
        manifest = latest.manifest
        check_column_name(name)
        if name in manifest.schema.names or name == VECTOR:
            raise InvalidInputError(f"column {name!r} cannot be added: the name is taken")
        field = pa.field(name, storable_type(name, kind))
        array, wider = new_value(field, value)
        if wider.type != field.type:
            raise InvalidInputError(
                f"column {name!r}: {value!r} cannot be stored as {type_name(field.type)}"
            )
        at = len(metadata_schema(manifest.schema))
        segments, renamed = list(manifest.segments), {}
        if value is not None:
            column = pa.RecordBatch.from_arrays([array], schema=pa.schema([field]))
            for number, entry in enumerate(manifest.segments):
                segments[number] = staging.write_columns(entry, column)
                renamed[entry.name] = segments[number].name
        version = manifest.next(
            "add_column",
            schema=manifest.schema.insert(at, field),
            segments=tuple(segments),
            **_rename_covered(manifest, renamed),
        )
        store.commit(staging, version)
        return version.version


def drop_column(store: Store, name: str) -> int:
    """Remove a metadata column from every row; the version committed.

    Segments that hold the column get a mark that it is gone, so that a column of this name that is
    added later starts empty. Nothing else is written: `compact` removes the values.

    Raises InvalidInputError, LockTimeoutError, StorageError.
    """
    with store.locked() as latest, store.staging() as staging:
        manifest = latest.manifest
        changeable(manifest, name)
        _require_not_searched(manifest, name)
        schema = manifest.schema.remove(manifest.schema.get_field_index(name))
        gone = pa.record_batch({name: pa.nulls(1)})
        segments, renamed = list(manifest.segments), {}
        for number, entry in enumerate(manifest.segments):
            if name in latest.segments[number].stored_names():
                segments[number] = staging.write_columns(entry, gone)
                renamed[entry.name] = segments[number].name
        version = manifest.next(
            "drop_column",
            schema=schema,
            segments=tuple(segments),
            **_without_indexes_of(name, _rename_covered(manifest, renamed)),
        )
        store.commit(staging, version)
        return version.version


def alter_column(store: Store, name: str, kind: pa.DataType | str) -> int:
    """Give a column a wider type that holds all its values; the version committed.

    Only the manifest changes: older segments are cast as they are read. A column that becomes JSON
    is written again.

    Raises InvalidInputError, LockTimeoutError, StorageError.
    """
    with store.locked() as latest, store.staging() as staging:
        manifest = latest.manifest
        field = changeable(manifest, name)
        wanted = storable_type(name, kind)
        at = manifest.schema.get_field_index(name)
        schema = manifest.schema.set(at, field.with_type(wanted))
        if wanted == field.type:
            return manifest.version
        if vector_column(field) is not None:
            raise InvalidInputError(f"column {name!r} holds vectors, and its type is theirs")
        if is_json(wanted):
            _require_not_searched(manifest, name)
            version = _as_json(latest, at, schema, staging)
            store.commit(staging, version)
            return version.version
        if not is_widening(field.type, wanted):
            raise InvalidInputError(
                f"column {name!r} is {type_name(field.type)}, which cannot become "
                f"{type_name(wanted)}: a column takes a wider type only, such as double for int64"
            )
        require_exact(latest, schema)
        version = manifest.next("alter_column", schema=schema)
        store.commit(staging, version)
        return version.version


def _as_json(latest: Snapshot, at: int, schema: pa.Schema, staging: Staging) -> Manifest:
    """The next version, with a column as JSON in segments that are written again.

    Raises InvalidInputError for a value that is no JSON; the message names its id.
    """
    manifest = latest.manifest
    segments, renamed = [], {}
    for start, segment, entry in zip(
        latest.starts, latest.segments, manifest.segments, strict=False
    ):
        column = segment.column(manifest.schema.names[at])
        if latest.live.mask is not None:  # deleted values, which nobody reads, may be anything
            rows = np.arange(entry.rows)
            dead = ~latest.live.mask[start : start + entry.rows]
            column = column.take(pa.array(rows, mask=dead))
        try:
            column = as_json(column)
        except NotJsonError as error:
            raise InvalidInputError(
                f"column {schema.names[at]!r} cannot become json: its value "
                f"{shown(column[error.row].as_py())} of id "
                f"{segment.column(manifest.id_column)[error.row].as_py()!r} "
                f"is not JSON: {error}"
            ) from error
        batch = pa.RecordBatch.from_arrays([column], schema=pa.schema([schema.field(at)]))
        segments.append(staging.write_columns(entry, batch))
        renamed[entry.name] = segments[-1].name
    return manifest.next(
        "alter_column",
        schema=schema,
        segments=tuple(segments),
        **_rename_covered(manifest, renamed),
    )
