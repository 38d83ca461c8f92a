"""Files and folders -> the parts of a source. Every kind is read as a stream."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import MAX_BATCH_CHARS, Batches, Part
from vecsearch.ingest.sources.csv import ID, delimited_part
from vecsearch.ingest.sources.dicts import Columns, blocks, to_batch
from vecsearch.ingest.sources.encoding import TextFile, is_gzip, open_binary
from vecsearch.ingest.sources.vectors import (
    FAISS,
    HDF5,
    READY,
    faiss_file_part,
    hdf5_part,
    npy_part,
    split_inside,
)

TABLES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".arrow", ".feather")
TEXTS = (".txt", ".md")
KNOWN = TABLES + READY + TEXTS


def suffix_of(path: Path) -> str:
    """The suffix that tells the kind of file, in lower case and without .gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def path_part(
    path: Path, name: str, batch_rows: int, text_column: str, known: pa.Schema | None
) -> Part:
    """One file or folder. Raises FileNotFoundError when there is none, and InvalidInputError naming it when it is of no known
    kind or damaged."""
    path, inside = split_inside(path)
    try:
        is_folder, is_file, exists = path.is_dir(), path.is_file(), path.exists()
    except (OSError, ValueError):  # too long a name, or a NUL in it
        is_folder = is_file = exists = False
    if not exists:
        raise FileNotFoundError(path)
    if is_folder:
        return folder_part(path, batch_rows, text_column)
    if not is_file:
        raise InvalidInputError(
            f"{name} is a pipe or a device; files are read twice, so save it as one"
        )
    suffix = suffix_of(path)
    if suffix in (".csv", ".tsv"):
        return delimited_part(path, name, batch_rows, text_column, known)
    if suffix in (".jsonl", ".ndjson"):
        return jsonl_part(path, name, batch_rows, known)
    if suffix in (".arrow", ".feather"):
        return ipc_part(path, name)
    if suffix == ".parquet":
        return parquet_part(path, name, batch_rows)
    if path.suffix.lower() in READY:
        return _ready_part(path, inside, name, batch_rows)
    if suffix in TEXTS:
        return documents_part(name, [(path.name, path)], batch_rows, text_column)
    advice = "; JSON is read one object a line, as .jsonl" if suffix == ".json" else ""
    raise InvalidInputError(
        f"{name} is of no kind that is read; known are {', '.join(KNOWN)}, and folders of .txt and .md{advice}"
    )


def _ready_part(path: Path, inside: str | None, name: str, batch_rows: int) -> Part:
    suffix = path.suffix.lower()
    if suffix in HDF5:
        return hdf5_part(path, inside, name, batch_rows)
    if suffix in FAISS:
        return faiss_file_part(path, name, batch_rows)
    return npy_part(path, name, batch_rows)


def jsonl_part(path: Path, name: str, batch_rows: int, known: pa.Schema | None) -> Part:
    """One JSON object a line. The whole file is looked at for columns and types before the first row is converted."""
    file = TextFile.find(path, name)

    def where(number: int) -> str:
        return f"{name}, line {number}"

    columns, total = Columns(where), 0
    for block in blocks(_json_lines(file), batch_rows, where):
        columns.see(block)
        total += len(block.rows)
    schema = columns.schema(known)

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks(_json_lines(file), batch_rows, where):
            yield to_batch(block, schema, where)

    return Part(name, total, schema, read)


def _json_lines(file: TextFile) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open() as text:
        for number, line in enumerate(file.lines(text), 1):
            if not line.strip():
                continue
            try:
                row = _DECODER.decode(line)
            except (ValueError, RecursionError) as error:
                reason = (
                    f"{error.msg} at column {error.colno}"
                    if isinstance(error, json.JSONDecodeError)
                    else str(error)
                )
                raise InvalidInputError(
                    f"{file.name}, line {number}: not JSON: {reason}"
                ) from error
            if not isinstance(row, dict):
                raise InvalidInputError(
                    f"{file.name}, line {number}: a {type(row).__name__}; each line must hold one JSON object, "
                    'such as {"id": 1, "text": "…"}'
                )
            yield number, row


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(
            f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice"
        )
    return row


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def parquet_part(path: Path, name: str, batch_rows: int) -> Part:
    import pyarrow.parquet as pq

    if is_gzip(path):
        raise InvalidInputError(
            f"{name}: a gzipped Parquet file cannot be read as a stream; unpack it (Parquet compresses inside)"
        )
    with _damage_named(name, "Parquet"), pq.ParquetFile(path) as file:
        total, schema = file.metadata.num_rows, file.schema_arrow

    def read(wanted: pa.Schema) -> Batches:
        with _damage_named(name, "Parquet"), pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_rows)

    return Part(name, total, schema, read)


def ipc_part(path: Path, name: str) -> Part:
    """An Arrow IPC file (also called Feather), memory-mapped, or an IPC stream, which may be gzipped."""
    with open_binary(path, name) as file:
        is_file_format = file.read(6) == b"ARROW1"
    if is_file_format and is_gzip(path):
        raise InvalidInputError(
            f"{name}: a gzipped Arrow file cannot be read as a stream; unpack it, or write the IPC stream format"
        )

    def read_file(wanted: pa.Schema) -> Batches:
        with (
            _damage_named(name, "Arrow"),
            pa.memory_map(str(path)) as mapped,
            pa.ipc.open_file(mapped) as reader,
        ):
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)

    def read_stream(wanted: pa.Schema) -> Batches:
        with (
            open_binary(path, name) as file,
            _damage_named(name, "Arrow"),
            pa.ipc.open_stream(file) as reader,
        ):
            yield from reader

    with _damage_named(name, "Arrow"):
        if is_file_format:
            with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as reader:
                total = (
                    reader.count_rows() if hasattr(reader, "count_rows") else None
                )  # younger than the oldest pyarrow
                return Part(name, total, reader.schema, read_file)
        with open_binary(path, name) as file, pa.ipc.open_stream(file) as reader:
            return Part(name, None, reader.schema, read_stream)


class _damage_named:  # noqa: N801 - read as a verb, like contextlib's own
    """A context in which pyarrow's complaints become InvalidInputError naming the file."""

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind = name, kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, MemoryError):
            raise InvalidInputError(
                f"{self.name} is damaged, or has a part larger than the memory there is"
            ) from error
        if isinstance(
            error, (pa.ArrowException, OSError, UnicodeDecodeError)
        ):  # the last of names of columns
            raise InvalidInputError(
                f"{self.name} is not a whole {self.kind} file: {error}"
            ) from error


def folder_part(folder: Path, batch_rows: int, text_column: str) -> Part:
    """Every .txt and .md file below the folder is a document: `id` its path from the folder, with slashes, in that order.

    Hidden files and folders (a name that begins with a dot) are passed over. Links to folders are followed, and each real
    folder is read once.
    """
    name = f"{folder.name or folder}/"
    found = sorted(
        (path.relative_to(folder).as_posix(), path)
        for path in _files(folder)
        if suffix_of(path) in TEXTS
    )
    if not found:
        others = sorted({suffix_of(path) for path in _files(folder)} & set(TABLES))
        advice = (
            f"; it holds {others[0]} files, which are given as a list of paths" if others else ""
        )
        raise InvalidInputError(f"the folder {str(folder)!r} holds no .txt or .md file{advice}")
    return documents_part(name, found, batch_rows, text_column)


def _files(folder: Path) -> Iterator[Path]:
    """All files below the folder. Real folders come before linked ones, so that a new link renames nothing."""
    seen: set[str] = set()
    waiting = [folder]
    for start in waiting:  # grows while it is gone through
        for base, folders, files in os.walk(start, onerror=_raise):
            real = os.path.realpath(base)
            folders[:] = (
                [] if real in seen else sorted(each for each in folders if not each.startswith("."))
            )
            if real in seen:
                continue
            seen.add(real)
            waiting += [
                path for path in (Path(base, each) for each in folders) if path.is_symlink()
            ]
            yield from (Path(base, each) for each in files if not each.startswith("."))


def _raise(error: OSError) -> None:
    raise InvalidInputError(
        f"the folder {error.filename!r} cannot be read: {error.strerror}"
    ) from error


def documents_part(
    name: str, documents: Sequence[tuple[str, Path]], batch_rows: int, text_column: str
) -> Part:
    """Text files as rows of `id` and text. A mark of byte order is not part of the text; nothing else is changed."""
    schema = pa.schema([(ID, pa.string()), (text_column, pa.large_string())])
    for identity, _ in documents:
        if not identity.isprintable() and any(
            "\ud800" <= letter <= "\udfff" for letter in identity
        ):
            raise InvalidInputError(
                f"{name}: the file name {identity!r} is not valid Unicode; rename the file"
            )

    def read(wanted: pa.Schema) -> Batches:
        ids: list[str] = []
        texts: list[str] = []
        chars = 0
        for identity, path in documents:
            ids.append(identity)
            texts.append(TextFile.find(path, str(path)).read())
            chars += len(texts[-1])
            if len(ids) == batch_rows or chars >= MAX_BATCH_CHARS:
                yield pa.record_batch([ids, texts], schema=schema)
                ids, texts, chars = [], [], 0
        if ids:
            yield pa.record_batch([ids, texts], schema=schema)

    return Part(name, len(documents), schema, read)
