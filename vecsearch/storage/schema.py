"""The columns of a collection: their types, and vectors as Arrow columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.errors import InvalidInputError
from vecsearch.storage.manifest import Manifest
from vecsearch.types import ID, RESERVED, VECTOR


def metadata_schema(schema: pa.Schema) -> pa.Schema:
    """The user's columns: all but the vector and vecsearch's own."""
    return pa.schema(
        [field for field in schema if field.name != VECTOR and field.name not in RESERVED]
    )


def source_schema(manifest: Manifest, id_column: str, text_column: str | None) -> pa.Schema:
    """The user's columns under the names they have in the data, for readers that must guess types."""
    names = {ID: id_column, manifest.text_column: text_column or manifest.text_column}
    return pa.schema(
        [
            field.with_name(names.get(field.name, field.name))
            for field in metadata_schema(manifest.schema)
        ]
    )


def storage_type(kind: pa.DataType) -> pa.DataType:
    """The type a metadata column is stored as: strings with 64-bit offsets, dictionaries decoded."""
    types = pa.types
    if types.is_dictionary(kind):
        return storage_type(kind.value_type)
    if types.is_string(kind) or types.is_string_view(kind) or types.is_null(kind):
        return pa.large_string()
    if types.is_binary(kind) or types.is_binary_view(kind):
        return pa.large_binary()
    if types.is_list(kind) or types.is_large_list(kind):
        return pa.list_(storage_type(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, storage_type(field.type)) for field in kind])
    return kind


def convert(array: pa.Array, field: pa.Field, first: int) -> pa.Array:
    """Bring a column to its stored type without losing anything. Raises InvalidInputError naming the row."""
    if array.type == field.type:
        return array
    if field.name == ID and pa.types.is_large_string(field.type) != pa.types.is_large_string(
        storage_type(array.type)
    ):
        wanted = "strings" if pa.types.is_large_string(field.type) else "integers"
        raise InvalidInputError(
            f"row {first}, column 'id': ids of this collection are {wanted}, not {array.type}"
        )
    if pa.types.is_large_string(field.type) and not pa.types.is_large_string(
        storage_type(array.type)
    ):
        raise InvalidInputError(
            f"column {field.name!r} holds {array.type}, first at row {first}; the collection stores strings there: convert it"
        )
    try:
        return array.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        for row in range(len(array)):
            try:
                array.slice(row, 1).cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise InvalidInputError(
                    f"row {first + row}, column {field.name!r}: {array[row].as_py()!r} cannot be stored as {field.type}"
                ) from error
        raise InvalidInputError(
            f"column {field.name!r}: {array.type} cannot be stored as {field.type}: {error}"
        ) from error


def normalize(vectors: Vectors) -> tuple[Vectors, Vectors]:
    """Unit vectors and the lengths they had, both float32."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)).astype(np.float32)
    near = (
        np.abs(norms - 1) < 1e-6
    )  # already unit length, as far as float32 can tell: leave the bits alone
    norms[near] = 1
    return (vectors if near.all() else vectors / norms[:, None]), norms


def vector_type(dim: int, dtype: str) -> pa.DataType:
    """The type of the vector column: fixed-size list of non-null float32 or float16."""
    value = {"float32": pa.float32(), "float16": pa.float16()}[dtype]
    return pa.list_(pa.field("item", value, nullable=False), dim)


def vector_array(vectors: npt.NDArray[np.floating]) -> pa.FixedSizeListArray:
    """An Arrow vector column over a C-contiguous (rows, dim) array, without a copy."""
    rows, dim = vectors.shape
    values = pa.Array.from_buffers(
        pa.from_numpy_dtype(vectors.dtype), rows * dim, [None, pa.py_buffer(vectors)]
    )
    return pa.Array.from_buffers(
        vector_type(dim, vectors.dtype.name), rows, [None], children=[values]
    )


def vector_view(column: pa.Array, dim: int) -> npt.NDArray[np.floating]:
    """The (rows, dim) numpy view of a vector column, without a copy."""
    dtype = np.dtype(np.float16 if column.type.value_type == pa.float16() else np.float32)
    data = column.values.buffers()[1]
    if data is None:
        return np.empty((0, dim), dtype)
    start = (column.offset * dim + column.values.offset) * dtype.itemsize
    return np.frombuffer(data, dtype, count=len(column) * dim, offset=start).reshape(
        len(column), dim
    )
