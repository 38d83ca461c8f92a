"""Named vectors: further vectors of a document, each kind in a column of its own.

What a column of vectors is stands in the metadata of its field, so it is stored, changed, merged
and copied like any other column of metadata.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.errors import CorruptedError, InvalidInputError
from vecsearch.types import Metric, counted

KEY = b"vecsearch.vectors"


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """What a column of named vectors holds.

    Attributes:
        dim: Numbers of a vector.
        metric: How they are compared; MaxSim is of this metric's products.
        multi: Whether a row has several, such as one for each token.
        embedder: The name of the model that makes them; None for given ones.
        fingerprint: What identifies the model.
        of: The column of texts that they are made of; "" for the one that is embedded anyway,
            which the first data may rename. None for given vectors.
    """

    dim: int
    metric: Metric
    multi: bool = False
    embedder: str | None = None
    fingerprint: str = ""
    of: str | None = None

    def field(self, name: str) -> pa.Field:
        """The column's field."""
        kind = pa.list_(pa.float32(), self.dim)
        described = asdict(self) | {"metric": str(self.metric)}
        return pa.field(
            name,
            pa.list_(kind) if self.multi else kind,
            metadata={KEY: json.dumps(described, sort_keys=True)},
        )


def vector_column(field: pa.Field) -> VectorColumn | None:
    """What a column holds, if it holds named vectors. Raises CorruptedError."""
    text = (field.metadata or {}).get(KEY)
    if text is None:
        return None
    try:
        described = json.loads(text)
        found = VectorColumn(**described | {"metric": Metric(described["metric"])})
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptedError(f"column {field.name!r} of vectors: {error}") from error
    if found.field(field.name).type != field.type:
        raise CorruptedError(f"column {field.name!r} of vectors is {field.type}")
    return found


def vector_columns(schema: pa.Schema) -> dict[str, VectorColumn]:
    """All columns of named vectors."""
    found = {field.name: vector_column(field) for field in schema}
    return {name: column for name, column in found.items() if column is not None}


def convert_vectors(array: pa.Array, field: pa.Field, column: VectorColumn, first: int) -> pa.Array:
    """Given vectors as their column stores them.

    Args:
        array: Lists of numbers; with `multi` lists of such lists. Missing ones stay missing.
        field: The column.
        column: What it holds.
        first: The number of the array's first row in the data, for messages.

    Raises:
        InvalidInputError: A value is no vector that the metric can compare.
    """
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), field.type)
    name, present = field.name, array.drop_null()
    rows = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False)) + first
    if not column.multi:
        matrix = _matrix(present, name, column, rows)
        return _column(array, _fixed(matrix, column.dim), field.type)
    if not _is_list(present.type):
        raise _no_vectors(name, array.type, column)
    counts = pc.list_value_length(present).to_numpy(zero_copy_only=False).astype(np.int64)
    inner = present.flatten()
    if pa.types.is_null(inner.type):
        inner = pa.array([], pa.list_(pa.float32(), column.dim))
    owners = np.repeat(rows, counts)
    if inner.null_count:
        at = int(np.flatnonzero(inner.is_null().to_numpy(zero_copy_only=False))[0])
        raise _error(int(owners[at]), name, "a vector is missing")
    matrix = _matrix(inner, name, column, owners)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    lists = pa.ListArray.from_arrays(offsets, _fixed(matrix, column.dim))
    return _column(array, lists, field.type)


def matrix_of(array: pa.Array, dim: int) -> npt.NDArray[np.float32]:
    """Stored vectors without missing ones as float32 (count, dim)."""
    values = array.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(np.ascontiguousarray(values, np.float32).reshape(-1, dim))


def _column(array: pa.Array, present: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values of a column, with missing ones where they were missing."""
    if not array.null_count:
        return present.cast(kind)
    places = np.full(len(array), -1, np.int64)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    places[valid] = np.arange(int(valid.sum()))
    return present.take(pa.array(places, mask=places < 0)).cast(kind)


def _fixed(matrix: npt.NDArray[np.float32], dim: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), dim)


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind))


def _matrix(
    vectors: pa.Array, name: str, column: VectorColumn, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Vectors as float32 (count, dim), checked; `rows` are the numbers of their rows."""
    if not len(vectors):
        return np.empty((0, column.dim), np.float32)
    inner = vectors.type.value_type if _is_list(vectors.type) else None
    types = pa.types
    if inner is None or not (types.is_floating(inner) or types.is_integer(inner)):
        raise _no_vectors(name, vectors.type, column)
    lengths = pc.list_value_length(vectors).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(lengths != column.dim)
    if len(wrong):
        has = counted(int(lengths[wrong[0]]), "number")
        raise _error(int(rows[wrong[0]]), name, f"{has} where its vectors have {column.dim}")
    values = vectors.flatten()
    if values.null_count:
        at = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        raise _error(int(rows[at // column.dim]), name, "a number is missing")
    wide = values.to_numpy(zero_copy_only=False).astype(np.float64).reshape(-1, column.dim)
    with np.errstate(over="ignore", invalid="ignore"):
        matrix = wide.astype(np.float32)
        squares = np.einsum("ij,ij->i", matrix, matrix)
    if not np.isfinite(squares).all():
        at = int(np.argmin(np.isfinite(squares)))
        raise _error(int(rows[at]), name, "a number is NaN, infinite or too large for float32")
    if column.metric is Metric.COSINE and not squares.all():
        at = int(np.argmin(squares))
        raise _error(int(rows[at]), name, "a zero vector has no direction, and so no cosine")
    return np.asarray(matrix)


def _no_vectors(name: str, kind: pa.DataType, column: VectorColumn) -> InvalidInputError:
    lists = "lists of lists" if column.multi else "lists"
    return InvalidInputError(
        f"column {name!r} is {kind}: it must hold {lists} of {counted(column.dim, 'number')}"
    )


def _error(row: int, name: str, problem: str) -> InvalidInputError:
    return InvalidInputError(f"row {row}, column {name!r}: {problem}")
