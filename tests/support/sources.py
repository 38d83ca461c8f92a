"""What the tests of sources share: read everything, checking what holds for every source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import open_source

Write = Callable[..., Path]
ROWS = [{"id": 1, "text": "eins"}, {"id": 2, "text": "二"}, {"id": 3, "text": "trois"}]
TABLE = pa.Table.from_pylist(ROWS)


def table(
    data: object, batch_rows: int = 4096, text_column: str = "text", schema: pa.Schema | None = None
) -> pa.Table:
    """Everything a source yields, with what holds for every source checked on the way."""
    source = open_source(data, batch_rows=batch_rows, text_column=text_column, schema=schema)
    batches = list(source.batches)
    assert all(0 < batch.num_rows <= batch_rows for batch in batches)
    assert len({batch.schema.to_string() for batch in batches}) <= 1
    found = pa.Table.from_batches(batches) if batches else pa.table({})
    assert source.total in (None, found.num_rows)
    return found


def rows(
    data: object, batch_rows: int = 4096, text_column: str = "text", schema: pa.Schema | None = None
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table(data, batch_rows, text_column, schema).to_pylist()
    return found


def texts(data: object, batch_rows: int = 4096, text_column: str = "text") -> list[dict[str, Any]]:
    """The rows without what is known of the files they come from."""
    known = ("title", "modified", "source", "digest")
    found = rows(data, batch_rows, text_column)
    return [{name: row[name] for name in row if name not in known} for row in found]


def types(data: object, schema: pa.Schema | None = None) -> dict[str, str]:
    return {field.name: str(field.type) for field in table(data, schema=schema).schema}


def refused(
    data: object, *says: str, batch_rows: int = 4096, schema: pa.Schema | None = None
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        list(open_source(data, batch_rows=batch_rows, schema=schema).batches)
    for part in says:
        assert part in str(caught.value), f"{part!r} is not in: {caught.value}"


def ipc_bytes(stream: bool) -> bytes:
    sink = pa.BufferOutputStream()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=2)
    data: bytes = sink.getvalue().to_pybytes()
    return data
