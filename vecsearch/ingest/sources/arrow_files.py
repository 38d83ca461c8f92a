"""Parquet and Arrow IPC files -> record batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from vecsearch.common.json_arrays import with_empty_structs
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part, SourceFile
from vecsearch.ingest.sources.encoding import open_binary, refuse_gzip
from vecsearch.storage import manifest_json
from vecsearch.types import CHUNK, RESERVED, VECTOR

EXPORTED = b"vecsearch"  # key of the manifest in the metadata of a Parquet file of `export`


def read_parquet(file: SourceFile) -> Part:
    """A Parquet file, row group by row group."""
    import pyarrow.parquet as pq

    refuse_gzip(file.path, file.name, "unpack it (Parquet compresses inside)")
    with _naming_damage(file.name, "Parquet"), pq.ParquetFile(file.path) as parquet:
        total, schema = parquet.metadata.num_rows, parquet.schema_arrow
    metadata = schema.metadata or {}
    if EXPORTED in metadata:
        schema = _exported_schema(schema, file.name)

    def read(wanted: pa.Schema) -> Batches:
        with _naming_damage(file.name, "Parquet"), pq.ParquetFile(file.path) as parquet:
            for batch in parquet.iter_batches(file.batch_rows):
                if EXPORTED in metadata:
                    batch = with_empty_structs(batch.select(schema.names), schema)
                    batch = batch.cast(schema)
                yield batch

    return Part(file.name, total, schema, read)


def _exported_schema(schema: pa.Schema, name: str) -> pa.Schema:
    """The user's columns of a file that `export` wrote, without those that vecsearch adds.

    Raises:
        InvalidInputError: Its rows are passages.
    """
    if CHUNK in schema.names:
        raise InvalidInputError(
            f"{name} holds the passages of a chunked collection, which only restore reads",
            hint="make a collection of it with vecsearch.restore, or export to .jsonl or .arrow, "
            "which hold whole documents",
            command_hint="make a collection of it with `vecsearch restore`, or export to .jsonl or "
            ".arrow, which hold whole documents",
        )
    described = manifest_json.from_json(
        schema.metadata[EXPORTED].decode(errors="replace"), f"the metadata of {name}"
    ).schema
    names = [name for name in schema.names if name not in RESERVED]
    return pa.schema(
        [
            described.field(name)
            if name in described.names and name != VECTOR
            else schema.field(name)
            for name in names
        ]
    )


def read_arrow(file: SourceFile) -> Part:
    """An Arrow IPC file (also called Feather), memory-mapped, or an IPC stream, maybe gzipped."""
    with open_binary(file.path, file.name) as opened:
        is_file_format = opened.read(6) == b"ARROW1"
    if not is_file_format:
        return _stream_part(file)
    refuse_gzip(file.path, file.name, "unpack it, or write the IPC stream format")

    def read(wanted: pa.Schema) -> Batches:
        with (
            _naming_damage(file.name, "Arrow"),
            pa.memory_map(str(file.path)) as mapped,
            pa.ipc.open_file(mapped) as reader,
        ):
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)

    with (
        _naming_damage(file.name, "Arrow"),
        pa.memory_map(str(file.path)) as mapped,
        pa.ipc.open_file(mapped) as reader,
    ):
        return Part(file.name, reader.count_rows(), reader.schema, read)


def _stream_part(file: SourceFile) -> Part:
    def read(wanted: pa.Schema) -> Batches:
        with (
            open_binary(file.path, file.name) as opened,
            _naming_damage(file.name, "Arrow"),
            pa.ipc.open_stream(opened) as reader,
        ):
            yield from reader

    with (
        _naming_damage(file.name, "Arrow"),
        open_binary(file.path, file.name) as opened,
        pa.ipc.open_stream(opened) as reader,
    ):
        return Part(file.name, None, reader.schema, read)


@contextmanager
def _naming_damage(name: str, kind: str) -> Iterator[None]:
    """Turns pyarrow's errors into InvalidInputError naming the file."""
    try:
        yield
    except MemoryError as error:
        raise InvalidInputError(
            f"{name} is damaged, or has a part larger than the memory there is"
        ) from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last for column names
        raise InvalidInputError(f"{name} is not a whole {kind} file: {error}") from error
