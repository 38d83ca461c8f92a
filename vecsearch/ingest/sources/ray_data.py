"""Data sets of Ray -> the parts of a source."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part

NAME = "a ray.data.Dataset"


def ray_part(data: Any, batch_rows: int) -> Part:
    """A `ray.data.Dataset`, computed on its cluster, batch by batch, in its order.

    Raises:
        InvalidInputError: A column holds arrays of several dimensions, or Python objects.
    """
    known = data.schema()
    if known is None:  # no rows
        return Part(NAME, 0, pa.schema([]), lambda wanted: iter(()))
    schema = pa.schema(
        [
            pa.field(name, _plain(name, kind))
            for name, kind in zip(known.names, known.types, strict=True)
        ]
    )

    def read(wanted: pa.Schema) -> Batches:
        options = data.context.execution_options
        before, options.preserve_order = options.preserve_order, True
        try:
            for table in data.iter_batches(batch_size=batch_rows, batch_format="pyarrow"):
                yield from _plain_table(table, schema).to_batches()
        finally:
            options.preserve_order = before

    return Part(NAME, None, schema, read)


def _plain(name: str, kind: Any) -> pa.DataType:
    """The type of a column without those of Ray: its arrays of one dimension are lists."""
    shape = getattr(kind, "shape", None)
    if isinstance(kind, pa.ExtensionType) and shape is not None:
        if len(shape) != 1:
            raise InvalidInputError(
                f"column {name!r} of {NAME} holds arrays of shape {shape}; a vector has one "
                "dimension"
            )
        return pa.list_(kind.value_type if hasattr(kind, "value_type") else kind.scalar_type)
    if not isinstance(kind, pa.DataType) or isinstance(kind, pa.ExtensionType):
        raise InvalidInputError(
            f"column {name!r} of {NAME} holds {kind}: make plain values of it with map_batches"
        )
    return kind


def _plain_table(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A batch with the types of the whole."""
    columns = []
    for field in schema:
        column = table.column(field.name)
        if isinstance(column.type, pa.ExtensionType):
            chunks = [chunk.storage for chunk in column.chunks]
            column = pa.chunked_array(chunks, column.type.storage_type)
        columns.append(column.cast(field.type))
    return pa.table(columns, schema=schema)
