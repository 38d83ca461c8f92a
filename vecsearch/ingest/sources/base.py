"""What every source ends as: bounded Arrow record batches with one schema and plain types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.errors import InvalidInputError

Batches = Iterator[pa.RecordBatch]
# A batch ends when it has its rows or about this much text, whichever is first: 4,096 long documents are not one batch.
MAX_BATCH_CHARS = 16 * 2**20
MAX_VIEWED = 2**27  # values that the list views of one batch may hold together


@dataclass(frozen=True)
class Source:
    """A stream of rows.

    name     for messages and the progress bar: "papers.csv", "a pyarrow.Table", "an iterator"
    total    how many rows there are, where that is known before reading them; else None
    batches  record batches of at most batch_rows rows, all of one schema, none empty, read as they are asked for; once
    """

    name: str
    total: int | None
    batches: Batches


@dataclass(frozen=True)
class Part:
    """One thing a source is read from: a file, a folder, a table, a list of rows.

    `read` takes the types wanted of this part's columns. Only an untyped part (CSV) heeds them, as its columns are text until
    then; the others are cast afterwards.
    """

    name: str
    total: int | None
    schema: pa.Schema
    read: Callable[[pa.Schema], Batches]
    untyped: bool = False


def source_of(parts: Sequence[Part], name: str, batch_rows: int) -> Source:
    """The rows of all parts, one part after the other, in the one schema that holds them all."""
    totals = [part.total for part in parts if part.total is not None]
    total = sum(totals) if len(totals) == len(parts) else None
    return Source(name, total, _rebatched(_stream(parts, unified(parts)), batch_rows))


def unified(parts: Sequence[Part]) -> pa.Schema:
    """One schema for all parts: every column of any, in the order they first appear; a part without a column has nulls.

    Numbers widen to a type that holds both; a column that some CSV files show as numbers and others as text is text.
    Raises InvalidInputError naming column, parts and types where the types do not go together.
    """
    holders: dict[str, list[tuple[Part, pa.DataType]]] = {}
    for part in parts:
        try:
            named = [(field.name, plain_type(field.type)) for field in part.schema]
        except (UnicodeDecodeError, pa.ArrowInvalid, KeyError, ValueError) as error:
            raise InvalidInputError(
                f"{part.name}: a column's name is not UTF-8, or a time zone is not known here (pip install tzdata): {error}"
            ) from error
        names = [name for name, _ in named]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise InvalidInputError(
                f"{part.name}: the column name {min(repeated)!r} stands twice; rename one of them"
            )
        for name, kind in named:
            holders.setdefault(name, []).append((part, kind))
    return pa.schema([pa.field(name, _common_type(name, held)) for name, held in holders.items()])


def _common_type(name: str, held: list[tuple[Part, pa.DataType]]) -> pa.DataType:
    first, common = held[0]
    for part, found in held[1:]:
        try:
            if found != common:
                schemas = [pa.schema([("column", kind)]) for kind in (common, found)]
                common = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            if all(part.untyped or is_text(kind) for part, kind in held):
                return pa.large_string()
            raise InvalidInputError(
                f"column {name!r} is {common} in {first.name} and {found} in {part.name}; convert one, or add them apart"
            ) from None
        if pa.types.is_null(held[0][1]):
            first = part
    return common


def _stream(parts: Sequence[Part], schema: pa.Schema) -> Batches:
    for part in parts:
        wanted = pa.schema([schema.field(name) for name in part.schema.names])
        for batch in part.read(wanted):
            yield conform(batch, schema, part.name)


def conform(batch: pa.RecordBatch, schema: pa.Schema, name: str) -> pa.RecordBatch:
    """The batch in that schema; columns it lacks are null. Raises InvalidInputError where a value does not fit its type."""
    if batch.schema == schema:
        return batch
    arrays = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        try:
            if at < 0:
                arrays.append(pa.nulls(batch.num_rows, field.type))
                continue
            column = batch.column(at)
            if column.type != field.type:
                column.validate(
                    full=True
                )  # spoiled offsets of a foreign file would lead the conversion outside its buffers
            arrays.append(plain_array(column, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InvalidInputError(
                f"{name}: column {field.name!r} is {batch.schema.field(at).type} and does not fit {field.type}: {error}"
            ) from error
    try:
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
    except pa.ArrowInvalid as error:
        raise InvalidInputError(f"{name} holds values that are not valid Arrow: {error}") from error


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type without an encoding around it: no dictionary, run-end, view or extension type, at any depth."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if types.is_string_view(kind):
        return pa.large_string()
    if types.is_binary_view(kind):
        return pa.large_binary()
    if types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type), kind.list_size)
    if types.is_large_list(kind) or types.is_large_list_view(kind):
        return pa.large_list(plain_type(kind.value_type))
    if types.is_list(kind) or types.is_list_view(kind):
        return pa.list_(plain_type(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, plain_type(field.type)) for field in kind])
    if types.is_timestamp(kind) and kind.tz is not None:
        pa.scalar(
            0, kind
        ).as_py()  # a zone that nobody knows is noticed here, and not when a value is read
    return kind


def plain_array(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values as `kind`, which is plain. Raises pyarrow's errors where one does not fit."""
    if isinstance(array, pa.ExtensionArray):
        return plain_array(array.storage, kind)
    if pa.types.is_dictionary(array.type):
        return plain_array(array.dictionary, kind).take(array.indices)
    if pa.types.is_run_end_encoded(array.type):
        return plain_array(pc.run_end_decode(array), kind)
    if _has_views(array.type):
        return _without_views(array, kind)
    return array if array.type == kind else array.cast(kind)


def _has_views(kind: pa.DataType) -> bool:
    """Whether lists in it are views, at any depth."""
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return True
    return any(_has_views(kind.field(number).type) for number in range(kind.num_fields))


def _without_views(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The same with plain lists, built from values and lengths: pyarrow's own cast leaves out the last offset. Views may
    overlap, so that a small array holds many values: too many are refused."""
    if pa.types.is_struct(array.type) and pa.types.is_struct(kind):
        children = [
            plain_array(child, kind.field(number).type)
            for number, child in enumerate(array.flatten())
        ]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null())
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise pa.ArrowInvalid(
            f"{array.type} cannot be read as {kind}: convert the views to lists first"
        )
    lengths = pc.list_value_length(array).fill_null(0).to_numpy().astype(np.int64)
    if lengths.sum() > MAX_VIEWED:
        raise pa.ArrowInvalid(
            f"its views hold {lengths.sum():,} values in {len(array):,} rows: convert them to lists first"
        )
    large = pa.types.is_large_list(kind)
    offsets = pa.array(
        np.concatenate([[0], np.cumsum(lengths)]), pa.int64() if large else pa.int32()
    )
    values = plain_array(array.flatten(), kind.value_type)
    return (pa.LargeListArray if large else pa.ListArray).from_arrays(
        offsets, values, type=kind, mask=array.is_null()
    )


def is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _rebatched(batches: Batches, rows: int) -> Batches:
    """Batches of at most `rows` rows: long ones are sliced, without a copy, and runs of short ones joined."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        long = batch.num_rows * 2 > rows or batch.nbytes > MAX_BATCH_CHARS
        if waiting and (long or sum(each.num_rows for each in waiting) + batch.num_rows > rows):
            yield _joined(waiting)
            waiting = []
        if long:
            yield from (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))
        elif batch.num_rows:
            waiting.append(batch)
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
