"""Check incoming rows and bring them into the collection's schema. Nothing here writes: bad input stops before it lands.

Row numbers in errors count the rows of the data from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Vectors
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.schema import convert, metadata_schema, storage_type
from vecsearch.types import ID, RESERVED, VECTOR, Metric

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class Rows:
    """Checked rows: metadata (id and text included) in the collection's types, and their vectors where the data has them.
    `first` is the number of the first row in the data; `numbers` the row number of each."""

    batch: pa.RecordBatch
    vectors: Vectors | None
    numbers: npt.NDArray[np.int64]

    def keep(self, mask: npt.NDArray[np.bool_]) -> Rows:
        if mask.all():
            return self
        vectors = None if self.vectors is None else self.vectors[mask]
        return Rows(self.batch.filter(pa.array(mask)), vectors, self.numbers[mask])


class RowChecker:
    """Checks batches against a collection. The first batch of a new collection decides the id type and the metadata."""

    def __init__(
        self,
        manifest: Manifest,
        id_column: str,
        text_column: str | None,
        project: Callable[[Vectors], Vectors] | None,
    ) -> None:
        """project: of the collection's model, where there is one: given vectors of its full dimension are projected."""
        self.manifest = manifest
        self.project = project
        self.id_column = id_column
        self.text_source = text_column or manifest.text_column
        self.has_embedder = project is not None and manifest.text_column is not None
        self.made_up_ids: bool | None = None
        self.next_id = manifest.next_id
        self.metadata: pa.Schema | None = (
            None if manifest.settings.get("open_schema") else metadata_schema(manifest.schema)
        )

    def check(self, batch: pa.RecordBatch, first: int) -> Rows:
        """Raises InvalidInputError naming row and column."""
        try:
            batch.validate(
                full=True
            )  # spoiled offsets of a foreign file would lead Arrow outside its buffers
        except pa.ArrowInvalid as error:
            raise InvalidInputError(
                f"the data from row {first} on is not valid Arrow: {error}"
            ) from error
        batch = self._rename(batch)
        self._check_names(batch.schema.names)
        if self.metadata is None:
            self.metadata = self._first_schema(batch)
        has_ids = ID in batch.schema.names
        if self.made_up_ids is None:
            self.made_up_ids = not has_ids
        arrays = []
        for field in self.metadata:
            if field.name == ID and not has_ids:
                arrays.append(self._make_ids(batch.num_rows, field.type))
            elif field.name in batch.schema.names:
                arrays.append(convert(batch.column(field.name), field, first))
            else:
                arrays.append(pa.nulls(batch.num_rows, field.type))
        checked = pa.RecordBatch.from_arrays(arrays, schema=self.metadata)
        check_times(checked, first)
        self._check_ids(checked.column(ID), first)
        if self.has_embedder and VECTOR not in batch.schema.names:
            self._check_text(checked, first)
        vectors = self._vectors(batch, first)
        return Rows(checked, vectors, np.arange(first, first + batch.num_rows))

    def schema(self) -> pa.Schema:
        """The collection's schema with the metadata that was found."""
        own = [
            field
            for field in self.manifest.schema
            if field.name == VECTOR or field.name in RESERVED
        ]
        return pa.schema([*(self.metadata or metadata_schema(self.manifest.schema)), *own])

    def _rename(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        names = batch.schema.names
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InvalidInputError(f"column {repeated[0]!r} stands twice in the data: rename one")
        renames = {self.id_column: ID}
        if self.text_source and self.manifest.text_column:
            renames[self.text_source] = self.manifest.text_column
        for source, target in renames.items():
            if source != target and source not in names:
                raise InvalidInputError(
                    f"the data has no column {source!r}{did_you_mean(source, names)}"
                )
            if source != target and target in names:
                raise InvalidInputError(
                    f"column {source!r} is to become {target!r}, but the data has a column {target!r} too"
                )
        return batch.rename_columns([renames.get(name, name) for name in names])

    def _check_names(self, names: Sequence[str]) -> None:
        for name in names:
            if name in RESERVED or not name:
                raise InvalidInputError(
                    f"column name {name!r} is kept for vecsearch itself: rename the column"
                )
        if self.metadata is not None:
            known = [*self.metadata.names, VECTOR]
            for name in names:
                if name not in known:
                    raise InvalidInputError(
                        f"column {name!r} is not in the collection (add_column({name!r}, type) "
                        f"adds it){did_you_mean(name, known)}"
                    )
        if VECTOR not in names and not self.has_embedder:
            raise InvalidInputError(
                f"the data has no column 'vector', and the collection has no embedder: give vectors of {self.manifest.dim} "
                "numbers, or create the collection with embedder="
            )
        text = self.manifest.text_column
        if VECTOR not in names and text and text not in names:
            raise InvalidInputError(
                f"the data has no text column {text!r} (text_column= names another)"
                f"{did_you_mean(text, names)}"
            )
        if self.made_up_ids is False and ID not in names:
            raise InvalidInputError(
                "the column 'id' is missing in a later part of the data: give every row an id, or none"
            )
        if (
            ID not in names
            and self.metadata is not None
            and not pa.types.is_integer(self.metadata.field(ID).type)
        ):
            raise InvalidInputError(
                "the data has no column 'id', and the ids of this collection are strings: give one to every row"
            )

    def _first_schema(self, batch: pa.RecordBatch) -> pa.Schema:
        fields = [
            pa.field(
                ID,
                _id_type(batch.schema.field(ID).type) if ID in batch.schema.names else pa.int64(),
                nullable=False,
            )
        ]
        text = self.manifest.text_column
        if text:
            fields.append(pa.field(text, pa.large_string()))
        fields += [
            pa.field(field.name, storage_type(field.type))
            for field in batch.schema
            if field.name not in (ID, VECTOR, text)
        ]
        return pa.schema(fields)

    def _make_ids(self, count: int, kind: pa.DataType) -> pa.Array:
        if self.next_id + count > LARGEST_ID:
            raise InvalidInputError(
                "ids cannot be made up: the collection holds the largest number; give every row an id"
            )
        ids = pa.array(np.arange(self.next_id, self.next_id + count), kind)
        self.next_id += count
        return ids

    def _check_ids(self, ids: pa.Array, first: int) -> None:
        if ids.null_count:
            raise InvalidInputError(
                f"row {first + _first_true(ids.is_null())}, column '{self.id_column}': the id is missing"
            )
        if pa.types.is_integer(ids.type) and len(ids):
            self.next_id = max(self.next_id, pc.max(ids).as_py() + 1)
        elif len(ids):
            empty = pc.equal(pc.binary_length(ids), 0)
            if pc.any(empty).as_py():
                raise InvalidInputError(
                    f"row {first + _first_true(empty)}, column '{self.id_column}': the id is empty"
                )

    def _check_text(self, rows: pa.RecordBatch, first: int) -> None:
        name = self.manifest.text_column
        text = rows.column(name)
        if text.null_count:
            raise InvalidInputError(
                f"row {first + _first_true(text.is_null())}, column {name!r}: the text is missing"
            )
        blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(text)), 0)
        if pc.any(blank).as_py():
            raise InvalidInputError(
                f"row {first + _first_true(blank)}, column {name!r}: the text is empty"
            )

    def _vectors(self, batch: pa.RecordBatch, first: int) -> Vectors | None:
        if VECTOR not in batch.schema.names:
            return None
        column, metric, dtype = batch.column(VECTOR), self.manifest.metric, self.manifest.dtype
        full = self.manifest.embedder.full_dim if self.manifest.embedder else 0
        if full and self.project is not None and _width(column) == full:
            return check_vectors(
                self.project(check_vectors(_matrix(column, full, first), metric, first)),
                metric,
                first,
                dtype,
            )
        return check_vectors(_matrix(column, self.manifest.dim, first), metric, first, dtype)


def _id_type(kind: pa.DataType) -> pa.DataType:
    stored = storage_type(kind)
    if pa.types.is_integer(stored):
        return pa.int64()
    if pa.types.is_large_string(stored):
        return stored
    raise InvalidInputError(f"column 'id' is {kind}: ids are integers or strings")


def check_times(batch: pa.RecordBatch, first: int) -> None:
    """Refuse times that Arrow holds and Python cannot, such as the year 10000: nobody could read them again. first: the number
    of the first row. Raises InvalidInputError naming row and column."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        for leaf, of_rows in _leaves(column, True):
            kind = leaf.type
            if (
                not pa.types.is_temporal(kind)
                or pa.types.is_interval(kind)
                or getattr(kind, "unit", "") == "ns"
            ):
                continue  # nanoseconds reach neither end of Python's years
            numbers = leaf.view(pa.int32() if kind.bit_width == 32 else pa.int64())
            for number in pc.min_max(numbers).as_py().values():
                try:
                    pa.scalar(number, kind).as_py()
                except (OverflowError, ValueError) as error:
                    row = f"row {first + pc.index(numbers, number).as_py()}, " if of_rows else ""
                    raise InvalidInputError(
                        f"{row}column {name!r}: {number} as {kind} is a time that Python cannot hold ({error}): it knows the "
                        "years 1 to 9999, and differences of up to 999,999,999 days"
                    ) from error


def _leaves(array: pa.Array, of_rows: bool) -> Iterator[tuple[pa.Array, bool]]:
    """The arrays of plain values in a column, and whether each has a value a row."""
    kind = array.type
    if pa.types.is_struct(kind):
        for child in array.flatten():
            yield from _leaves(child, of_rows)
    elif pa.types.is_map(kind):
        yield from _leaves(array.keys, False)
        yield from _leaves(array.items, False)
    elif pa.types.is_nested(kind) and hasattr(array, "flatten"):
        yield from _leaves(array.flatten(), False)
    else:
        yield array, of_rows


def _width(column: pa.Array) -> int | None:
    """How many numbers the first vector has; None where that cannot be said."""
    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    lists = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    return pc.list_value_length(column)[0].as_py() if lists and len(column) else None


def _matrix(column: pa.Array, dim: int, first: int) -> npt.NDArray[np.floating]:
    kind = column.type
    if not (
        pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)
    ):
        raise InvalidInputError(f"column 'vector' is {kind}: it must hold lists of {dim} numbers")
    if not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise InvalidInputError(
            f"column 'vector' holds lists of {kind.value_type}: it must hold lists of {dim} numbers"
        )
    if column.null_count:
        raise InvalidInputError(
            f"row {first + _first_true(column.is_null())}, column 'vector': the vector is missing"
        )
    if not pa.types.is_fixed_size_list(kind) or kind.list_size != dim:
        lengths = pc.list_value_length(column)
        wrong = pc.not_equal(lengths, dim)
        if pc.any(wrong).as_py():
            row = _first_true(wrong)
            raise InvalidInputError(
                f"row {first + row}, column 'vector': {lengths[row].as_py()} numbers where the collection has dimension {dim}"
            )
    values = column.flatten()
    if values.null_count:
        raise InvalidInputError(
            f"row {first + _first_true(values.is_null()) // dim}, column 'vector': a number is missing"
        )
    if pa.types.is_integer(values.type):
        values = values.cast(pa.float64(), safe=False)
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(column), dim)


def check_vectors(
    vectors: npt.NDArray[np.floating], metric: Metric, first: int, dtype: str = "float32"
) -> Vectors:
    """float32 vectors that the metric can compare. Raises InvalidInputError naming the first bad row."""
    with np.errstate(over="ignore", invalid="ignore"):
        out = np.ascontiguousarray(vectors, np.float32)
        squares = np.einsum("ij,ij->i", out, out)
    bad = ~np.isfinite(squares)
    if bad.any():
        row = int(np.argmax(bad))
        numbers = vectors[row]
        what = (
            "a NaN"
            if np.isnan(numbers).any()
            else "an infinite number"
            if np.isinf(numbers).any()
            else "numbers too large for float32"
        )
        raise InvalidInputError(f"row {first + row}, column 'vector': it has {what}")
    if (
        dtype == "float16"
        and metric is not Metric.COSINE
        and len(out)
        and float(np.abs(out).max()) > 65504
    ):
        row = int(np.argmax(np.abs(out).max(axis=1) > 65504))
        raise InvalidInputError(
            f"row {first + row}, column 'vector': a number is too large for float16 storage"
        )
    if metric is Metric.COSINE and not squares.all():
        row = int(np.argmin(squares))
        if not out[row].any() or squares[row] == 0:
            raise InvalidInputError(
                f"row {first + row}, column 'vector': a zero vector has no direction, so no cosine"
            )
    return out


def _first_true(mask: pa.Array) -> int:
    return int(pc.index(mask, True).as_py())
