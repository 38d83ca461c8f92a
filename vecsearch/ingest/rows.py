"""Check incoming rows and convert them to the collection's types, before anything is written.

Row numbers in messages count the rows of the data from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Mask, Vectors
from vecsearch.common.json_column import type_name
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.plain import is_text
from vecsearch.ingest.texts import without_text
from vecsearch.ingest.validation import Validation
from vecsearch.ingest.vector_column import (
    check_vectors,
    first_true,
    row_error,
    vector_matrix,
    vector_width,
)
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.names import TEXT_DECLARED
from vecsearch.storage.schema import (
    ID_DECLARED,
    MARKED,
    TEXT_TYPES,
    convert,
    is_marked,
    metadata_schema,
    passage_fields,
    storage_type,
)
from vecsearch.types import BEIR_ID, ID, RESERVED, TEXT, VECTOR, counted

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class Rows:
    """Checked rows.

    Attributes:
        batch: Metadata, id and text included, in the collection's types.
        vectors: float32 (rows, dim); None where the data has no vectors.
        numbers: The number of each row in the data.
        stored: The columns of the vectors as a segment stores them, of documents whose vectors
            stay; else None.
    """

    batch: pa.RecordBatch
    vectors: Vectors | None
    numbers: npt.NDArray[np.int64]
    stored: pa.RecordBatch | None = None

    @property
    def ids(self) -> pa.Array:
        """The ids, the first column."""
        return self.batch.column(0)

    def keep(self, mask: Mask) -> Rows:
        """The rows where the mask is true."""
        if mask.all():
            return self
        kept = pa.array(mask)
        vectors = None if self.vectors is None else self.vectors[mask]
        stored = None if self.stored is None else self.stored.filter(kept)
        return Rows(self.batch.filter(kept), vectors, self.numbers[mask], stored)


class RowChecker:
    """Checks batches against a collection.

    The first batch of a new collection decides the id type and the metadata columns.

    Args:
        manifest: The collection.
        id_column: The name of the id column in the data; None for the collection's own.
        text_column: The name of the text column in the data; None for the collection's own.
        project: Reduces given vectors of the embedder's full dimension; None without an embedder.
        partial: Whether rows may lack columns that documents have, as those of an update do. Their
            texts are then checked once they are known, by `check_texts`.
    """

    def __init__(
        self,
        manifest: Manifest,
        id_column: str | None,
        text_column: str | None,
        project: Callable[[Vectors], Vectors] | None,
        *,
        partial: bool = False,
    ) -> None:
        self.partial = partial
        self.manifest = manifest
        self.project = project
        self.given = (id_column, text_column)
        self.id_source = id_column or manifest.id_column
        self.text_source = text_column or manifest.text_column
        self.has_embedder = project is not None and bool(manifest.read_columns)
        self.generates_ids: bool | None = None
        self.next_id = manifest.next_id
        self.chunked = manifest.chunked
        self._valid = Validation()
        self.metadata: pa.Schema | None = (
            None if manifest.settings.get("open_schema") else metadata_schema(manifest.schema)
        )

    def check(self, batch: pa.RecordBatch, first: int) -> Rows:
        """The rows of a batch, whose first is row `first` of the data.

        Raises:
            InvalidInputError: A row does not fit the collection; the message names row and column.
        """
        try:
            # Damaged offsets of a foreign file would lead Arrow outside its buffers.
            self._valid.require(batch)
        except pa.ArrowInvalid as error:
            raise InvalidInputError(
                f"the data from row {first} on is not valid Arrow: {error}"
            ) from error
        batch = self._rename(batch)
        self._check_names(batch.schema.names)
        if self.metadata is None:
            self.metadata = self._first_schema(batch)
        has_ids = self.manifest.id_column in batch.schema.names
        if self.generates_ids is None:
            self.generates_ids = not has_ids
        arrays = []
        for number, field in enumerate(self.metadata):
            if number == 0 and not has_ids:
                arrays.append(self._generate_ids(batch.num_rows, field.type))
            elif field.name in batch.schema.names:
                _require_no_marker(field, batch, first)
                array, wider = convert(batch.column(field.name), field, first)
                if is_marked(batch.schema.field(field.name)) and pa.types.is_null(wider.type):
                    wider = wider.with_metadata(MARKED)
                if not wider.equals(field, check_metadata=True):
                    self.metadata = self.metadata.set(number, wider)
                arrays.append(array)
            else:
                arrays.append(pa.nulls(batch.num_rows, field.type))
        checked = pa.RecordBatch.from_arrays(arrays, schema=self.metadata)
        check_times(checked, first)
        self._check_ids(checked.column(0), first)
        vectors = self._vectors(batch, first)
        rows = Rows(checked, vectors, np.arange(first, first + batch.num_rows))
        needs_texts = self.has_embedder and not self.manifest.embeds_ids
        needs_texts = needs_texts and not self.manifest.row_columns
        if needs_texts and vectors is None and not self.partial:
            check_texts(rows, self.manifest.text_columns, str(self.text_source))
        return rows

    def add_passage_columns(self) -> None:
        """Make room for passages in a collection whose documents were one row each until now."""
        self.chunked = True

    def schema(self) -> pa.Schema:
        """The collection's schema with the metadata columns of the data."""
        fields = [
            field
            for field in self.manifest.schema
            if field.name == VECTOR or field.name in RESERVED
        ]
        if self.chunked and not self.manifest.chunked:
            fields += passage_fields(len(self.manifest.text_columns), heads=True)
        return pa.schema([*(self.metadata or metadata_schema(self.manifest.schema)), *fields])

    def _rename(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The columns under the collection's names."""
        names = batch.schema.names
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InvalidInputError(
                f"the data has more than one column {repeated[0]!r}: rename one of them"
            )
        renames = {self.id_source: self.manifest.id_column}
        if self.text_source and self.manifest.text_column:
            self._require_text_name(self.text_source)
            renames[self.text_source] = self.manifest.text_column
        for source, target in renames.items():
            if source in self.given and source not in names:
                raise InvalidInputError(
                    f"the data has no column {shown(source)}{did_you_mean(source, names)}"
                )
            if source != target and target in names:
                raise InvalidInputError(
                    f"the collection calls column {source!r} {target!r}, but the data has a column "
                    f"{target!r} too: rename or drop one of them"
                )
        return batch.rename_columns([renames.get(name, name) for name in names])

    def _require_text_name(self, source: str) -> None:
        """Refuse one text column for a collection that embeds several."""
        texts = self.manifest.text_columns
        if len(texts) > 1 and source != texts[-1]:
            raise InvalidInputError(
                f"the collection embeds the columns {', '.join(map(repr, texts))}, and not "
                f"{source!r} alone: give the columns of the data these names",
                hint="leave out text_column=",
                command_hint="leave out --text-column",
            )

    def _check_special_names(self, names: Sequence[str]) -> None:
        """Refuse data whose ids or texts are in a column of another name."""
        manifest = self.manifest
        known = manifest.schema.names if self.metadata is None else self.metadata.names
        unknown = [name for name in names if name not in (*known, VECTOR)]
        if manifest.id_column not in names:
            like = _named_like(manifest.id_column, (ID, BEIR_ID), unknown)
            if like is not None:
                raise InvalidInputError(
                    f"the data has no column {manifest.id_column!r} of ids, but a column {like!r}",
                    hint=f"did you mean id_column={like!r}? If it holds no ids, rename it",
                    command_hint=f"did you mean --id-column {like}? If it holds no ids, rename it",
                )
        self._check_read_columns(names)
        texts = [name for name in manifest.text_columns if name in names]
        if manifest.embeds_ids and (self.given[1] is None or texts):
            return  # an id is enough
        if self.partial or not manifest.text_columns or (texts and self.metadata is not None):
            return
        missing = next((name for name in manifest.text_columns if name not in names), None)
        if missing is None or (VECTOR in names and _named_like(missing, (TEXT,), unknown) is None):
            return
        option = "text_column" if len(manifest.text_columns) == 1 else "text_columns"
        raise InvalidInputError(
            f"the data has no text column {missing!r}{did_you_mean(missing, names)}",
            hint=f"name another with {option}=",
            command_hint="name another with --text-column",
        )

    def _check_read_columns(self, names: Sequence[str]) -> None:
        """Refuse rows of a table without a column that the model reads."""
        missing = [name for name in self.manifest.row_columns if name not in names]
        if not missing or self.partial:
            return
        raise InvalidInputError(
            f"the data has no column {missing[0]!r}, which the collection's model reads"
            f"{did_you_mean(missing[0], names)}",
            hint="give the column, with None where a value is not known",
            command_hint="give the column, with empty cells where a value is not known",
        )

    def _check_names(self, names: Sequence[str]) -> None:
        for name in names:
            if name in RESERVED or not name:
                raise InvalidInputError(
                    f"column name {name!r} is reserved for vecsearch: rename the column"
                )
        self._check_special_names(names)
        if self.metadata is not None:
            known = [*self.metadata.names, VECTOR]
            for name in names:
                if name not in known:
                    raise InvalidInputError(
                        f"column {name!r} is not in the collection{did_you_mean(name, known)}",
                        hint=f"to have it, call add_column({name!r}, type) first",
                        command_hint="remove it from the data, or add it with "
                        "`vecsearch add-column` first",
                    )
        if self.partial:
            if self.manifest.id_column not in names:
                raise InvalidInputError(
                    f"the data has no column {self.id_source!r}, so nothing says which documents "
                    "to update"
                )
            return
        if VECTOR not in names and not self.has_embedder:
            raise InvalidInputError(
                "the data has no column 'vector', and the collection has no embedder",
                hint=f"give vectors of {counted(self.manifest.dim, 'number')}, or create the "
                "collection with "
                "embedder=",
                command_hint=f"give vectors of {counted(self.manifest.dim, 'number')}, or make a "
                "new "
                "collection with --embedder",
            )
        if self.generates_ids is False and self.manifest.id_column not in names:
            raise InvalidInputError(
                f"the column {self.id_source!r} is missing in a later part of the data: give an id "
                "to every row, or to none"
            )
        if self.manifest.id_column not in names and self.metadata is not None:
            kind = self.metadata.field(0).type
            if not pa.types.is_integer(kind):
                raise InvalidInputError(
                    f"the data has no column {self.id_source!r}, and the ids of this collection "
                    "are strings: give an id to every row",
                    hint="or name the column that holds them with id_column=",
                    command_hint="or name the column that holds them with --id-column",
                )

    def _first_schema(self, batch: pa.RecordBatch) -> pa.Schema:
        """The metadata columns of a new collection."""
        manifest = self.manifest
        id_type = manifest.id_type
        if manifest.id_column in batch.schema.names and not manifest.settings.get(ID_DECLARED):
            kind = batch.schema.field(manifest.id_column).type
            id_type = _id_type(self.id_source, kind)
        declared = list(metadata_schema(manifest.schema))
        fields = [declared[0].with_type(id_type), *declared[1:]]
        text = manifest.text_column
        if text in batch.schema.names and self._takes_pictures():
            kind = storage_type(batch.schema.field(text).type)
            if kind in TEXT_TYPES:
                fields[1] = fields[1].with_type(kind)  # it follows the id
        names = (VECTOR, *(field.name for field in fields))
        fields += [
            pa.field(
                field.name, storage_type(field.type), metadata=MARKED if is_marked(field) else None
            )
            for field in batch.schema
            if field.name not in names
        ]
        return pa.schema(fields)

    def _takes_pictures(self) -> bool:
        """Whether the text column of an empty collection may become one of pictures."""
        manifest = self.manifest
        is_stated = manifest.settings.get(TEXT_DECLARED)
        return len(manifest.text_columns) == 1 and not manifest.chunked and not is_stated

    def _generate_ids(self, count: int, kind: pa.DataType) -> pa.Array:
        if self.next_id + count > LARGEST_ID:
            raise InvalidInputError(
                "cannot generate ids: the collection holds the largest integer already; give an id "
                "to every row"
            )
        ids = pa.array(np.arange(self.next_id, self.next_id + count), kind)
        self.next_id += count
        return ids

    def _check_ids(self, ids: pa.Array, first: int) -> None:
        if ids.null_count:
            raise row_error(first + first_true(ids.is_null()), self.id_source, "the id is missing")
        if pa.types.is_integer(ids.type) and len(ids):
            self.next_id = max(self.next_id, pc.max(ids).as_py() + 1)
        elif len(ids):
            empty = pc.equal(pc.binary_length(ids), 0)
            if pc.any(empty).as_py():
                raise row_error(first + first_true(empty), self.id_source, "the id is empty")

    def _vectors(self, batch: pa.RecordBatch, first: int) -> Vectors | None:
        if VECTOR not in batch.schema.names:
            return None
        column, metric, dtype = batch.column(VECTOR), self.manifest.metric, self.manifest.dtype
        full_dim = self.manifest.embedder.full_dim if self.manifest.embedder else 0
        if full_dim and self.project is not None and vector_width(column) == full_dim:
            full = check_vectors(vector_matrix(column, full_dim, first), metric, first)
            return check_vectors(self.project(full), metric, first, dtype)
        matrix = vector_matrix(column, self.manifest.dim, first)
        return check_vectors(matrix, metric, first, dtype)


def check_texts(rows: Rows, columns: Sequence[str], source: str) -> None:
    """Raises InvalidInputError for a row without anything to embed.

    Args:
        rows: Checked rows.
        columns: The columns that are embedded.
        source: What the data calls the last of them.
    """
    missing = without_text(rows.batch, columns)
    if not pc.any(missing).as_py():
        return
    at = first_true(missing)
    row = int(rows.numbers[at])
    if len(columns) > 1:
        names = " and ".join(map(repr, columns))
        raise InvalidInputError(f"row {row}, columns {names}: no text to embed")
    text = rows.batch.column(columns[0])
    what = "picture" if pa.types.is_large_binary(text.type) else "text"
    fault = "empty" if text.is_valid()[at].as_py() else "missing"
    raise row_error(row, source, f"the {what} is {fault}")


def _require_no_marker(field: pa.Field, batch: pa.RecordBatch, first: int) -> None:
    """Raises InvalidInputError for texts of a column that held nothing but NA and the like before.

    In one file all of them would be texts; what became a missing value cannot be one any more.
    """
    texts = batch.column(field.name)
    if is_marked(field) and is_text(texts.type) and texts.null_count < len(texts):
        row = first_true(texts.is_valid())
        name = shown(field.name)
        raise InvalidInputError(
            f"row {first + row}, column {field.name!r}: {shown(texts[row].as_py())} is a text, but "
            'NA, "" and the like, which are all that the column held before, were read as missing '
            "values",
            hint=f"alter_column({name}, 'string') keeps them missing; to have them as texts, start "
            f"with create(..., schema={{{name}: 'string'}})",
            command_hint=f"`vecsearch alter-column` to string keeps them missing; to have them as "
            f"texts, start with --schema {field.name}:string",
        )


def _id_type(name: str, kind: pa.DataType) -> pa.DataType:
    stored = storage_type(kind)
    if pa.types.is_integer(stored):
        return pa.int64()
    if pa.types.is_large_string(stored):
        return stored
    raise InvalidInputError(f"column {name!r} is {type_name(kind)}: ids are integers or strings")


def _named_like(name: str, usual: Sequence[str], others: Sequence[str]) -> str | None:
    """A column that is called as `name` or a usual name is, but for capitals."""
    looked_for = {name.casefold(), *usual}
    return next((other for other in others if other.casefold() in looked_for), None)


def check_times(batch: pa.RecordBatch, first: int) -> None:
    """Refuse times that Arrow can hold and Python cannot, such as the year 10000.

    Args:
        batch: Any columns.
        first: The number of the first row in the data, for messages.

    Raises:
        InvalidInputError: A time is outside the years 1 to 9999, or a difference is too long. The
            message names row and column.
    """
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        for leaf, per_row in _leaves(column, True):
            kind = leaf.type
            is_time = pa.types.is_temporal(kind) and not pa.types.is_interval(kind)
            if not is_time or getattr(kind, "unit", "") == "ns":
                continue  # nanoseconds in 64 bits cover the years 1677 to 2262 only
            numbers = leaf.view(pa.int32() if kind.bit_width == 32 else pa.int64())
            for number in pc.min_max(numbers).as_py().values():
                try:
                    pa.scalar(number, kind).as_py()
                except (OverflowError, ValueError) as error:
                    row = f"row {first + pc.index(numbers, number).as_py()}, " if per_row else ""
                    raise InvalidInputError(
                        f"{row}column {name!r}: {number} as {kind} is a time that Python cannot "
                        f"hold ({error}): it holds the years 1 to 9999, and differences of up to "
                        "999,999,999 days"
                    ) from error


def _leaves(array: pa.Array, per_row: bool) -> Iterator[tuple[pa.Array, bool]]:
    """The arrays of plain values in a column, and whether each has one value per row."""
    kind = array.type
    if pa.types.is_struct(kind):
        for child in array.flatten():
            yield from _leaves(child, per_row)
    elif pa.types.is_map(kind):
        yield from _leaves(array.keys, False)
        yield from _leaves(array.items, False)
    elif pa.types.is_nested(kind) and hasattr(array, "flatten"):
        yield from _leaves(array.flatten(), False)
    else:
        yield array, per_row
