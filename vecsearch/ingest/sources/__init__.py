"""Whatever a person calls data -> a stream of Arrow record batches.

base.py       Source, and parts -> one stream of one schema
rows.py       dicts: types from values
memory.py     tables, frames, texts, vectors
files.py      files and folders
ready.py      vectors that exist already: .npy, HDF5, the indexes of FAISS and hnswlib
delimited.py  CSV and TSV
encoding.py   text files in UTF-8, UTF-16, GB18030
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import memory, vectors
from vecsearch.ingest.sources.base import Part, Source, source_of
from vecsearch.ingest.sources.dicts import iterator_part, rows_part
from vecsearch.ingest.sources.files import KNOWN, path_part, suffix_of

__all__ = ["Source", "open_source"]

MAX_PATH, MAX_NAME = 4096, 255  # characters of a path and of a name in it, on most file systems
ACCEPTED = (
    "Data is an Arrow table, batch or reader, a pandas or polars frame, a list or iterator of dicts, of texts (str) or of "
    "vectors (1-D arrays), a matrix (rows, dim), or one path or more"
)


def open_source(
    data: object,
    *,
    batch_rows: int = 4096,
    text_column: str = "text",
    schema: pa.Schema | None = None,
) -> Source:
    """Open `data` for reading as record batches of at most `batch_rows` rows and one schema, with memory bounded by a batch.

    data may be
    - a pyarrow Table, RecordBatch, RecordBatchReader, or anything that offers the Arrow C stream interface
    - a pandas.DataFrame (a named index is a column), a polars.DataFrame or LazyFrame
    - a list or iterator of dicts. A list is looked at as a whole for its types; of an iterator the first batch decides
    - a list or iterator of str: documents, which become the column `text_column`
    - a matrix of vectors (rows, dim), a torch tensor, the weights of a torch.nn.Embedding, or a list or iterator of 1-D arrays,
      which become the column `vector`
    - a FAISS or hnswlib index, whose ids become the column `id` and its vectors, as far as it keeps them, the column `vector`
    - a path, or a list of paths, of mixed kinds: .parquet, .csv, .tsv, .jsonl, .ndjson, .arrow, .feather, .txt, .md, those of
      text also as .gz, or a folder of .txt and .md files (columns `id`, the path from the folder, and `text_column`); and of
      ready-made vectors: .npy, .h5 or .hdf5 (`file.h5::name` for one data set of several), .faiss or .index
      CSV and JSON lines are gone through once before the first batch, so that types hold for the whole file

    A str alone is a path, never a text. A Path is always a path. A list of str is a list of texts, unless every one names an
    existing file of a known kind; where some do, or all look as if they should, it is an error that says how to be explicit.

    `schema` tells the types of columns that are known already, as those of a collection: CSV cells are read as these types, and
    a column of dicts or JSON lines that holds only None takes its type from there.

    Raises InvalidInputError, here or while the batches are read, naming the file and line, or the row (from 0) and column.
    """
    if batch_rows < 1:
        raise InvalidInputError(f"batch_rows is {batch_rows}; it must be at least 1")
    parts = _Opener(batch_rows, text_column, schema).parts(data)
    name = parts[0].name if len(parts) == 1 else f"{len(parts)} files" if parts else "an empty list"
    return source_of(parts, name, batch_rows)


class _Opener:
    """Tells the kinds of data apart."""

    def __init__(self, batch_rows: int, text_column: str, known: pa.Schema | None) -> None:
        self.batch_rows = batch_rows
        self.text_column = text_column
        self.known = known

    def parts(self, data: Any) -> list[Part]:
        kind = type(data).__name__
        library = type(data).__module__.split(".")[0]
        name = f"a {library}.{kind}"
        if isinstance(data, (str, PathLike)):
            return [self.path(data, Path(data).name or str(data))]
        if isinstance(data, (pa.Table, pa.RecordBatch)):
            return [memory.table_part(data)]
        if library == "pandas" and kind == "DataFrame":
            return [memory.pandas_part(data)]
        if library == "polars" and kind == "LazyFrame":
            return [memory.lazy_frame_part(data, self.batch_rows)]
        if isinstance(data, (pa.Array, pa.ChunkedArray)):
            return [memory.column_part(data, name, self.text_column)]
        if kind == "Series" and library in ("pandas", "polars"):
            return self.items(data.to_list())
        if hasattr(data, "__arrow_c_stream__"):
            return [memory.stream_part(data, name, len(data) if library == "polars" else None)]
        if library == "faiss" and hasattr(data, "reconstruct_n"):
            return [vectors.faiss_part(data, f"a FAISS {kind}", self.batch_rows)]
        if hasattr(data, "get_ids_list") and hasattr(data, "get_items"):
            return [vectors.hnswlib_part(data, f"an index of {library}", self.batch_rows)]
        if hasattr(data, "num_embeddings") and hasattr(
            data, "weight"
        ):  # torch.nn.Embedding and what is derived from it
            return self.array(data.weight, f"the weight of a {kind}")
        if hasattr(data, "__array__") and hasattr(data, "ndim"):
            return self.array(data, name)
        if isinstance(data, Mapping):
            raise InvalidInputError(
                "data is a dict: for one row give [row], for columns pyarrow.table(columns)"
            )
        if isinstance(data, (set, frozenset)):
            raise InvalidInputError("data is a set, which has no order; give a list")
        if isinstance(data, Iterable) and not isinstance(data, (bytes, bytearray)):
            return self.items(data)
        raise InvalidInputError(f"data is of type {library}.{kind}. {ACCEPTED}")

    def path(self, path: str | PathLike[str], name: str) -> Part:
        try:
            return path_part(Path(path), name, self.batch_rows, self.text_column, self.known)
        except FileNotFoundError:
            advice = ""
            if isinstance(path, str) and (
                suffix_of(Path(path)) not in KNOWN or any(map(str.isspace, path))
            ):
                advice = ". A str is read as a path; to add it as a text, give a list: [text]"
            raise InvalidInputError(
                f"there is no file or folder {_shown(path)!r}{advice}"
            ) from None

    def array(self, data: Any, name: str) -> list[Part]:
        try:
            if hasattr(
                data, "detach"
            ):  # a torch tensor, which may need a gradient, be on a GPU, or in bfloat16
                data = data.detach().cpu()
                data = data.float() if str(data.dtype) == "torch.bfloat16" else data
            matrix = np.asarray(data)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InvalidInputError(f"{name} cannot be read as an array: {error}") from error
        if matrix.ndim == 1 and matrix.dtype.kind in "OU":
            return self.items(matrix.tolist())
        return [memory.matrix_part(matrix, name, self.batch_rows)]

    def items(self, data: Iterable[Any]) -> list[Part]:
        """A list, or anything else that is iterated over: its first item tells what it is a list of."""
        head: list[Any] = []
        stream: Iterator[Any] = iter(data)
        for item in stream:
            head.append(item)
            if item is not None:
                break
        if not head:
            return []
        first = head[-1]
        listed = isinstance(data, Sequence)
        items: Iterable[Any] = data if listed else chain(head, stream)
        name = f"a {type(data).__name__}" if listed else "an iterator"
        total = len(data) if isinstance(data, Sequence) else None
        if isinstance(first, Mapping):
            if isinstance(data, Sequence):
                return [rows_part(data, name, self.batch_rows, self.known)]
            return [iterator_part(iter(items), name, self.batch_rows, self.known)]
        if isinstance(first, PathLike) or (
            isinstance(first, str) and self.are_paths(data if listed else [first], listed)
        ):
            return self.paths(items)
        if isinstance(first, str):
            return [memory.texts_part(items, name, total, self.batch_rows, self.text_column)]
        if isinstance(first, (pa.Table, pa.RecordBatch)):
            return [memory.tables_part(first, items, name)]
        if isinstance(first, (list, tuple)) or hasattr(first, "__array__"):
            return [memory.vectors_part(first, items, name, total, self.batch_rows)]
        raise InvalidInputError(f"data is {name} of {type(first).__name__}. {ACCEPTED}")

    def paths(self, items: Iterable[Any]) -> list[Part]:
        found = []
        for number, item in enumerate(items):
            if not isinstance(item, (str, PathLike)):
                raise InvalidInputError(
                    f"item {number} is a {type(item).__name__}; the items before it are paths"
                )
            found.append(self.path(item, str(item)))
        return found

    def are_paths(self, texts: Iterable[Any], listed: bool) -> bool:
        """Whether a list of str is one of paths. Raises InvalidInputError where a person could mean either."""
        explicit = "To be explicit, give paths as [Path(p) for p in …], and texts as [{'text': t} for t in …]"
        strings = [text for text in texts if isinstance(text, str)]
        files = [text for text in strings if _names_file(text) and _is_file(text)]
        if files and not listed:
            raise InvalidInputError(
                f"the iterator's first item, {files[0]!r}, is a file here, but a str from one is a text. {explicit}"
            )
        if files and len(files) < len(strings):
            other = next(text for text in strings if text not in files)
            raise InvalidInputError(
                f"{files[0]!r} is a file here, but {_shown(other)!r} is none: paths, or texts? {explicit}"
            )
        if files:
            return True
        if all(_names_file(text) and not any(map(str.isspace, text)) for text in strings):
            raise InvalidInputError(
                f"there is no file {strings[0]!r}, though it looks like a path. {explicit}"
            )
        if all(_is_folder(text) for text in strings):
            raise InvalidInputError(f"{strings[0]!r} is a folder here: paths, or texts? {explicit}")
        return False


def _shown(path: str | PathLike[str]) -> str:
    """A path as an error names it: whole, as its end tells which file is meant. A text that no file
    system takes for a path is shortened in the middle."""
    text = fspath(path)
    longest_name = max(len(name) for name in text.split("/"))
    if len(text) < MAX_PATH and (isinstance(path, PathLike) or longest_name <= MAX_NAME):
        return text
    return f"{text[:50]} … {text[-30:]}"


def _names_file(text: str) -> bool:
    return (
        len(text) < MAX_PATH
        and "\n" not in text
        and text.lower().removesuffix(".gz").endswith(KNOWN)
    )


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _is_folder(text: str) -> bool:
    try:
        return len(text) < MAX_PATH and bool(text) and Path(text).is_dir()
    except (OSError, ValueError):
        return False
