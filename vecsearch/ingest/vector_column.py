"""The column `vector` of incoming data -> a float32 matrix that the metric can compare."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Vectors
from vecsearch.errors import InvalidInputError
from vecsearch.types import VECTOR, Metric, counted

LARGEST_FLOAT16 = 65504


def is_list_column(kind: pa.DataType) -> bool:
    """Whether a type is a list, of fixed or of any length."""
    types = pa.types
    return bool(types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind))


def vector_width(column: pa.Array) -> int | None:
    """The length of the column's first vector; None where it has none."""
    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    if not is_list_column(column.type) or not len(column):
        return None
    length: int | None = pc.list_value_length(column)[0].as_py()
    return length


def vector_matrix(column: pa.Array, dim: int, first: int) -> npt.NDArray[np.floating]:
    """The column as a matrix.

    Args:
        column: Lists of `dim` integers, floating-point numbers, or booleans for 0 and 1.
        dim: The length that each must have.
        first: The number of the column's first row in the data, for messages.

    Returns:
        (rows, dim), float64 for integers and booleans, and else of the column's own type.

    Raises:
        InvalidInputError: The type is another, or a vector is missing, has a missing number, or
            has another length. The message names the row.
    """
    kind, types = column.type, pa.types
    expected = f"it must hold lists of {counted(dim, 'number')}"
    if not is_list_column(kind):
        raise InvalidInputError(f"column 'vector' is {kind}: {expected}")
    inner = kind.value_type
    if not any(test(inner) for test in (types.is_floating, types.is_integer, types.is_boolean)):
        raise InvalidInputError(f"column 'vector' holds lists of {kind.value_type}: {expected}")
    if column.null_count:
        raise row_error(first + first_true(column.is_null()), VECTOR, "the vector is missing")
    if not pa.types.is_fixed_size_list(kind) or kind.list_size != dim:
        lengths = pc.list_value_length(column)
        wrong = pc.not_equal(lengths, dim)
        if pc.any(wrong).as_py():
            row = first_true(wrong)
            raise row_error(
                first + row,
                VECTOR,
                f"{counted(lengths[row].as_py(), 'number')} where the collection has dimension "
                f"{dim}",
            )
    values = column.flatten()
    if values.null_count:
        raise row_error(first + first_true(values.is_null()) // dim, VECTOR, "a number is missing")
    if not types.is_floating(values.type):
        values = values.cast(pa.float64(), safe=False)
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(column), dim)


def check_vectors(
    vectors: npt.NDArray[np.floating], metric: Metric, first: int, dtype: str = "float32"
) -> Vectors:
    """The vectors as float32, checked.

    Args:
        vectors: (rows, dim).
        metric: How the collection compares vectors.
        first: The number of the first row in the data, for messages.
        dtype: How the collection stores vectors: "float32" or "float16".

    Returns:
        C-contiguous float32 (rows, dim).

    Raises:
        InvalidInputError: A number is not finite or too large, or a vector is zero under the
            cosine metric. The message names the first such row.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        out = np.ascontiguousarray(vectors, np.float32)
        squares = np.einsum("ij,ij->i", out, out)
    if not np.isfinite(squares).all():
        row = int(np.argmin(np.isfinite(squares)))
        raise row_error(first + row, VECTOR, f"the vector has {_defect(vectors[row])}")
    if dtype == "float16" and metric is not Metric.COSINE and len(out):
        largest = np.abs(out).max(axis=1)
        if float(largest.max()) > LARGEST_FLOAT16:
            row = int(np.argmax(largest > LARGEST_FLOAT16))
            raise row_error(first + row, VECTOR, "a number is too large for float16 storage")
    if metric is Metric.COSINE and not squares.all():
        row = int(np.argmin(squares))
        zero = "a zero vector has no direction, and so no cosine similarity"
        small = "the numbers of the vector are too small: the squares of all are 0 in float32"
        raise row_error(first + row, VECTOR, small if vectors[row].any() else zero)
    return out


def vector_defect(vector: npt.NDArray[np.floating]) -> str:
    """What is wrong with a vector that cannot be compared."""
    return f"a vector with {_defect(vector)}" if vector.any() else "a zero vector"


def _defect(vector: npt.NDArray[np.floating]) -> str:
    if np.isnan(vector).any():
        return "a NaN"
    if np.isinf(vector).any():
        return "an infinite number"
    if np.abs(vector).max() > np.finfo(np.float32).max:
        return "numbers too large for float32"
    return "numbers whose squares are too large for float32"


def row_error(row: int, column: str, problem: str) -> InvalidInputError:
    """The error about a value; `row` is its number in the data."""
    return InvalidInputError(f"row {row}, column {column!r}: {problem}")


def first_true(mask: pa.Array) -> int:
    """The index of the first true value."""
    return int(pc.index(mask, True).as_py())
