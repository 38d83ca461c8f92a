"""Add, drop and widen columns. Each is one commit under the writer's lock."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch.common.json_column import NotJsonError, as_json, is_json, type_name
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.maintenance.edit import rename_covered
from vecsearch.maintenance.new_values import changeable, new_value
from vecsearch.storage.exact import require_exact
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.named_vectors import vector_column
from vecsearch.storage.schema import check_column_name, metadata_schema, storable_type
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging
from vecsearch.storage.store import Store
from vecsearch.storage.text_files import text_columns
from vecsearch.storage.widening import is_widening
from vecsearch.types import VECTOR


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
            **rename_covered(manifest, renamed),
        )
        store.commit(staging, version)
        return version.version


def drop_column(store: Store, name: str) -> int:
    """Remove a metadata column from every row; the version committed.

    Each segment that has the column is marked, so that a new column of the same name starts empty.
    Nothing else is written: `compact` removes the values.

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
            **_without_indexes_of(name, rename_covered(manifest, renamed)),
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
        **rename_covered(manifest, renamed),
    )


def _require_not_searched(manifest: Manifest, name: str) -> None:
    """Raises InvalidInputError for a column that is searched by words."""
    if name in text_columns(manifest):
        raise InvalidInputError(
            f"column {name!r} is searched by words",
            hint="call build_text_index with other columns first",
            command_hint="run `vecsearch build-text` with other columns first",
        )


def _without_indexes_of(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a manifest without the indexes of a column's vectors."""
    named = {key: group for key, group in fields["vector_indexes"].items() if key != name}
    return {**fields, "vector_indexes": named}
