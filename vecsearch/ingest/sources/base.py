"""What every source ends as: bounded Arrow record batches of one schema and plain types."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from vecsearch.common.json_column import JSON, is_json
from vecsearch.common.plain_types import plain_type
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.plain import is_text, plain_array
from vecsearch.ingest.sources.reading import Place, Places, Reading
from vecsearch.storage.schema import MARKED, is_marked
from vecsearch.storage.widening import MisfitError, first_misfit, holds_days, resolve
from vecsearch.types import BEIR_ID, ID

Batches = Iterator["pa.RecordBatch | Located"]
Item = TypeVar("Item")
# A batch ends at its number of rows or at about this much text, whichever is first.
MAX_BATCH_CHARS = 16 * 2**20


def blocks_of(
    items: Iterable[Item], rows: int, chars: Callable[[Item], int]
) -> Iterator[list[Item]]:
    """Items in lists that end at `rows` items or at about MAX_BATCH_CHARS characters.

    Args:
        items: Rows of any kind.
        rows: The most items in a list.
        chars: The number of characters in an item.
    """
    block: list[Item] = []
    total = 0
    for item in items:
        block.append(item)
        total += chars(item)
        if len(block) == rows or total >= MAX_BATCH_CHARS:
            yield block
            block, total = [], 0
    if block:
        yield block


@dataclass(frozen=True)
class Source:
    """A stream of rows.

    Attributes:
        name: For messages and the progress bar: "papers.csv", "a pyarrow.Table", "an iterator".
        total: The number of rows, where it is known before they are read; else None.
        batches: Record batches of at most batch_rows rows, all of one schema, none empty. They
            are read when they are asked for, and can be read only once.
        places: Where the rows that were read came from.
        reading: The options, and what was left out so far.
    """

    name: str
    total: int | None
    batches: Iterator[pa.RecordBatch]
    places: Places = dataclasses.field(default_factory=Places)
    reading: Reading = dataclasses.field(default_factory=Reading)


@dataclass(frozen=True)
class Located:
    """A batch whose rows are not simply the next rows of their part.

    Attributes:
        batch: The rows.
        numbers: The line of each row, or the name of the file that each is.
        given: The columns that each row has itself; None for those of the part.
    """

    batch: pa.RecordBatch
    numbers: Sequence[int | str]
    given: Sequence[Collection[str]] | None = None


@dataclass(frozen=True)
class Part:
    """One thing that a source is read from: a file, a folder, a table, a list of rows.

    Attributes:
        name: For messages.
        total: The number of rows, where it is known.
        schema: The columns and their types.
        read: Reads the rows. It is given the types wanted of this part's columns; only an untyped
            part uses them, the rows of the others are cast afterwards.
        untyped: Whether the columns are text until they are read (CSV).
        is_file: Whether it is a file or folder, whose rows messages call by its name.
        firsts: Where columns have their first value, for messages, if their types are of values.
    """

    name: str
    total: int | None
    schema: pa.Schema
    read: Callable[[pa.Schema], Batches]
    untyped: bool = False
    is_file: bool = False
    firsts: Mapping[str, str] | None = None

    def place_of(self, column: str) -> str:
        """Where a column has its first value, as well as that is known."""
        return (self.firsts or {}).get(column, self.name)


@dataclass(frozen=True)
class SourceFile:
    """A file to be read, and how.

    Attributes:
        path: The file.
        name: What messages call it.
        batch_rows: The most rows in a batch.
        text_column: The column that texts go to.
        known: The types of columns that are known already, such as those of the collection.
        inside: The data set of an HDF5 file, from `file.h5::name`.
        reading: The options of the whole reading.
    """

    path: Path
    name: str
    batch_rows: int
    text_column: str
    known: pa.Schema | None = None
    inside: str | None = None
    reading: Reading = dataclasses.field(default_factory=Reading)


def with_beir_id(part: Part) -> Part:
    """The part with its column `_id`, BEIR's name for it, as `id`, if it has no `id` itself."""
    names = part.schema.names
    if BEIR_ID not in names or ID in names:
        return part
    renamed = [ID if name == BEIR_ID else name for name in names]

    def read(wanted: pa.Schema) -> Batches:
        for item in part.read(pa.schema(map(pa.Field.with_name, wanted, names))):
            found = item if isinstance(item, Located) else Located(item, ())
            yield replace(found, batch=found.batch.rename_columns(renamed))

    fields = map(pa.Field.with_name, part.schema, renamed)
    return replace(part, schema=pa.schema(fields), read=read)


def source_of(parts: Sequence[Part], name: str, batch_rows: int, reading: Reading) -> Source:
    """The rows of all parts, one part after the other, in the one schema that holds them all."""
    totals = [part.total for part in parts if part.total is not None]
    total = sum(totals) if len(totals) == len(parts) else None
    places = Places()
    batches = _rebatched(_stream(parts, unified(parts), places, reading), batch_rows)
    return Source(name, total, batches, places, reading)


def unified(parts: Sequence[Part]) -> pa.Schema:
    """One schema for all parts: every column of any, in the order of their first appearance.

    A part without a column has nulls there. Numbers widen to a type that holds both; a column that
    some CSV files show as numbers and others as text is text, and one that is JSON in a part is
    JSON.

    Raises:
        InvalidInputError: Two types of a column have no common one. The message names the column,
            the parts and the types.
    """
    holders: dict[str, list[tuple[Part, pa.DataType]]] = {}
    for part in parts:
        try:
            columns = [(field.name, plain_type(field.type)) for field in part.schema]
        except (UnicodeDecodeError, pa.ArrowInvalid, KeyError, ValueError) as error:
            raise InvalidInputError(
                f"{part.name}: a column's name is not UTF-8, or a time zone is unknown here "
                f"(pip install tzdata): {error}"
            ) from error
        require_unique([name for name, _ in columns], part.name)
        for name, kind in columns:
            holders.setdefault(name, []).append((part, kind))
    return pa.schema([_common_field(name, held) for name, held in holders.items()])


def require_unique(names: Sequence[str], part_name: str) -> None:
    """Raises InvalidInputError for a column name that is used twice."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidInputError(
            f"{part_name}: duplicate column name {repeated[0]!r}; rename one of the columns"
        )


def _common_field(name: str, held: list[tuple[Part, pa.DataType]]) -> pa.Field:
    common = _common_type(name, held)
    marked = pa.types.is_null(common) and any(
        is_marked(part.schema.field(name)) for part, _ in held
    )
    return pa.field(name, common, metadata=MARKED if marked else None)


def _common_type(name: str, held: list[tuple[Part, pa.DataType]]) -> pa.DataType:
    first, common = held[0]
    if any(is_json(kind) for _, kind in held):
        return JSON
    for part, found in held[1:]:
        try:
            if found != common:
                schemas = [pa.schema([("column", kind)]) for kind in (common, found)]
                common = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            if holds_days(common, found):
                common = resolve(common, pa.array([], found))
                continue
            if all(part.untyped or is_text(kind) for part, kind in held):
                return pa.large_string()
            raise InvalidInputError(
                f"column {name!r} is {common} in {first.place_of(name)} and {found} in "
                f"{part.place_of(name)}; convert one of them, or add the files one by one"
            ) from None
        if pa.types.is_null(held[0][1]):
            first = part
    return common


def _stream(
    parts: Sequence[Part], schema: pa.Schema, places: Places, reading: Reading
) -> Iterator[pa.RecordBatch]:
    for part in parts:
        wanted = pa.schema([schema.field(name) for name in part.schema.names])
        file = part.name if part.is_file else None
        rows = 0
        try:
            for item in part.read(wanted):
                found = item if isinstance(item, Located) else Located(item, ())
                at = Places()
                at.note(found.batch.num_rows, file, found.numbers or rows)
                batch = conform(found.batch, schema, part.name, at)
                places.note(batch.num_rows, file, found.numbers or rows)
                if reading.given is not None and found.given is not None:
                    reading.note_given(found.given)
                elif reading.given is not None:
                    reading.given += [frozenset(part.schema.names)] * batch.num_rows
                rows += batch.num_rows
                yield batch
        except InvalidInputError as error:
            if file is None:
                raise
            reading.fail(error, Place(file))


def conform_item(item: pa.RecordBatch | Located, schema: pa.Schema, name: str) -> Located:
    """What a part gave, in that schema: see `conform`."""
    found = item if isinstance(item, Located) else Located(item, ())
    return replace(found, batch=conform(found.batch, schema, name))


def conform(
    batch: pa.RecordBatch, schema: pa.Schema, name: str, places: Places | None = None
) -> pa.RecordBatch:
    """The batch in that schema; columns it lacks are null.

    Args:
        batch: Some rows.
        schema: The columns of all parts.
        name: What the rows are a part of, for messages.
        places: Where each of the rows is; None where only the part is known.

    Raises:
        InvalidInputError: A value does not fit the type of its column.
    """
    if batch.schema == schema:
        return batch
    arrays = []
    for field in schema:
        number = batch.schema.get_field_index(field.name)
        if number < 0:
            arrays.append(pa.nulls(batch.num_rows, field.type))
            continue
        column = batch.column(number)
        if column.type != field.type:
            # Damaged offsets of a foreign file would lead the conversion outside its buffers.
            try:
                column.validate(full=True)
            except pa.ArrowInvalid as error:
                raise InvalidInputError(
                    f"{name}: column {field.name!r} has values that are not valid Arrow: {error}"
                ) from error
        try:
            arrays.append(plain_array(column, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            row = first_misfit(column, partial(_plain, field.type)) if places else None
            if row is not None and places is not None:
                raise InvalidInputError(
                    f"{places.place(row)}, column {field.name!r}: {shown(column[row].as_py())} of "
                    f"type {column.type} does not fit {field.type}, which the column has elsewhere"
                ) from error
            raise InvalidInputError(
                f"{name}: column {field.name!r} is {column.type} and does not fit {field.type}: "
                f"{error}"
            ) from error
    try:
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
    except pa.ArrowInvalid as error:
        raise InvalidInputError(f"{name} has values that are not valid Arrow: {error}") from error


def _plain(kind: pa.DataType, array: pa.Array) -> None:
    try:
        plain_array(array, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise MisfitError from error


def _rebatched(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of at most `rows` rows: long ones are sliced, without a copy, short ones joined."""
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
