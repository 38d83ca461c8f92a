"""Find out what kind of data an object is, and open it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch.common.pictures import is_picture
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import frames, h5ad, memory, vectors
from vecsearch.ingest.sources.base import Batches, Part, SourceFile
from vecsearch.ingest.sources.dicts import iterator_part, rows_part
from vecsearch.ingest.sources.files import path_part
from vecsearch.ingest.sources.huggingface import hub_dataset_part, refuse_splits
from vecsearch.ingest.sources.ray_data import ray_part
from vecsearch.ingest.sources.reading import Place, Reading
from vecsearch.ingest.sources.registry import PICTURES, main_suffixes, suffix_of, suffixes
from vecsearch.ingest.sources.stores import OtherStore, is_store, store_part
from vecsearch.ingest.sources.web import (
    SCHEMES,
    CopiedFile,
    StandardInput,
    fetched,
    standard_input,
)

MAX_PATH, MAX_NAME = 4096, 255  # characters of a path and of a name in it, on most file systems
ACCEPTED = (
    "Data is an Arrow table, batch or reader, a pandas or polars frame, a list or iterator of "
    "dicts, of texts (str), of PIL images or of vectors (1-D arrays), a matrix (rows, dim), or one "
    "or more paths"
)
EXPLICIT = (
    "To be explicit, give paths as [Path(p) for p in …], and texts as [{'text': t} for t in …]"
)


class Opener:
    """Opens data of any kind.

    Args:
        batch_rows: The most rows in a batch.
        text_column: The column that texts go to.
        known: The types of columns that are known already.
        reading: The options of the whole reading.
    """

    def __init__(
        self, batch_rows: int, text_column: str, known: pa.Schema | None, reading: Reading
    ) -> None:
        self.batch_rows = batch_rows
        self.text_column = text_column
        self.known = known
        self.reading = reading

    def parts(self, data: Any) -> list[Part]:
        """The parts of any data.

        Raises:
            InvalidInputError: The data is of no kind that is read.
        """
        kind = type(data).__name__
        library = _library(data)
        name = f"a {library}.{kind}"
        if isinstance(data, (str, PathLike)):
            return self._path(data, Path(data).name or fspath(data))
        if isinstance(data, (pa.Table, pa.RecordBatch)):
            return [memory.table_part(data)]
        if library == "pyarrow" and hasattr(data, "to_batches"):  # a Dataset or a Scanner
            return [memory.dataset_part(data, name)]
        if library == "ray" and hasattr(data, "iter_batches"):
            return [ray_part(data, self.batch_rows)]
        if library == "datasets":
            if isinstance(data, Mapping):
                refuse_splits(data)
            part = hub_dataset_part(data, self.batch_rows)
            return self._items(data) if part is None else [part]
        if library == "pandas" and kind == "DataFrame":
            return [frames.pandas_part(data, self.known, self.reading)]
        if library == "polars" and kind == "LazyFrame":
            return [frames.lazy_frame_part(data, self.batch_rows)]
        if isinstance(data, (pa.Array, pa.ChunkedArray)):
            return [memory.column_part(data, name, self.text_column)]
        if kind == "Series" and library in ("pandas", "polars"):
            return self._items(data.to_list())
        if kind == "DataFrame" and library == "polars":
            return [frames.polars_part(data, self.known, self.reading)]
        if library == "scipy" and hasattr(data, "tocsr"):
            return [h5ad.sparse_part(data, name, self.batch_rows)]
        if hasattr(data, "obs_names") and hasattr(data, "obsm"):  # AnnData
            return [h5ad.anndata_part(data, self.batch_rows, self.reading.id_column)]
        if hasattr(data, "__arrow_c_stream__"):
            return [memory.stream_part(data, name, None)]
        if library == "faiss" and hasattr(data, "reconstruct_n"):
            return [
                vectors.faiss_part(data, f"a FAISS {kind}", self.batch_rows, self.reading.id_column)
            ]
        if hasattr(data, "get_ids_list") and hasattr(data, "get_items"):
            name = f"an index of {library}"
            return [vectors.hnswlib_part(data, name, self.batch_rows, self.reading.id_column)]
        # A trained model of gensim, or its word vectors; a model of documents has two kinds.
        words = data if hasattr(data, "dv") else getattr(data, "wv", data)
        if hasattr(words, "index_to_key") and hasattr(words, "vectors"):
            name = f"a {library}.{kind}"
            return [vectors.gensim_part(words, name, self.batch_rows, self.reading.id_column)]
        if hasattr(data, "num_embeddings") and hasattr(data, "weight"):  # torch.nn.Embedding
            return self._array(data.weight, f"the weight of a {kind}")
        if hasattr(data, "__array__") and hasattr(data, "ndim"):
            return self._array(data, name)
        if isinstance(data, Mapping):
            raise InvalidInputError(
                "data is a dict: for one row give [row], for columns pyarrow.table(columns)"
            )
        if isinstance(data, (set, frozenset)):
            raise InvalidInputError("data is a set, which has no order; give a list")
        if isinstance(data, Iterable) and not isinstance(data, (bytes, bytearray)):
            return self._items(data)
        raise InvalidInputError(f"data is of type {library}.{kind}. {ACCEPTED}")

    def _path(self, path: str | PathLike[str], name: str) -> list[Part]:
        """The part that reads a path; none where it fails and failures are left out."""
        if isinstance(path, StandardInput):
            return self._copy(partial(standard_input, path.stream), "standard input", "stdin")
        if is_store(path) and not Path(path).exists():
            return [store_part(OtherStore(fspath(path)), self._file(Path(path), name))]
        if fspath(path).startswith(SCHEMES):
            address = fspath(path)
            copied = partial(fetched, address, pictures=self.reading.pictures)
            return self._copy(copied, address, address)
        file = self._file(Path(path), name)
        try:
            return [replace(path_part(file), is_file=True)]
        except InvalidInputError as error:
            self.reading.fail(error, Place(name))
            return []
        except FileNotFoundError:
            advice = ""
            if isinstance(path, str) and (
                suffix_of(Path(path)) not in suffixes() or any(map(str.isspace, path))
            ):
                advice = ". A str is read as a path; to add it as a text, give a list: [text]"
            raise InvalidInputError(
                f"there is no file or folder {_shown(path)!r}{advice}"
            ) from None

    def _file(self, path: Path, name: str) -> SourceFile:
        return SourceFile(
            path, name, self.batch_rows, self.text_column, self.known, reading=self.reading
        )

    def _copy(self, copied: Callable[[], CopiedFile], name: str, source: str) -> list[Part]:
        """The part that reads a copy of something that is no file."""
        try:
            copy = copied()
            try:
                part = path_part(self._file(copy.path, name), copy.name, source)
            except InvalidInputError:
                copy.remove()
                raise
        except InvalidInputError as error:
            self.reading.fail(error, Place(name))
            return []

        def read(wanted: pa.Schema, copy: CopiedFile = copy) -> Batches:
            yield from part.read(wanted)

        return [replace(part, read=read, is_file=True)]

    def _array(self, data: Any, name: str) -> list[Part]:
        try:
            if hasattr(data, "detach"):  # a torch tensor, maybe on a GPU or with a gradient
                data = data.detach().cpu()
                data = data.float() if str(data.dtype) == "torch.bfloat16" else data
            if np.ma.is_masked(data):
                raise InvalidInputError(f"{name} has masked values: fill them")
            matrix = np.asarray(data)
        except InvalidInputError:
            raise
        except (TypeError, ValueError, RuntimeError) as error:
            raise InvalidInputError(f"{name} cannot be read as an array: {error}") from error
        if matrix.ndim == 1 and matrix.dtype.kind in "OU":
            return self._items(matrix.tolist())
        return [memory.matrix_part(matrix, name, self.batch_rows)]

    def _items(self, data: Iterable[Any]) -> list[Part]:
        """A list or an iterator; the first item that is not None tells what it is one of."""
        head: list[Any] = []
        stream: Iterator[Any] = iter(data)
        for item in stream:
            head.append(item)
            if item is not None:
                break
        if not head:
            return []
        first = head[-1]
        is_list = isinstance(data, Sequence)
        items: Iterable[Any] = data if is_list else chain(head, stream)
        name = f"a {type(data).__name__}" if is_list else "an iterator"
        total = len(data) if isinstance(data, Sequence) else None
        if isinstance(first, Mapping):
            if isinstance(data, Sequence):
                return [rows_part(data, name, self.batch_rows, self.known, self.reading)]
            return [iterator_part(iter(items), name, self.batch_rows, self.known, self.reading)]
        if isinstance(first, str) and self.reading.pictures and is_list and _are_addresses(data):
            return self._paths(items)  # texts make no sense here, so these are to be fetched
        if isinstance(first, PathLike) or (
            isinstance(first, str)
            and _are_paths(data if is_list else [first], is_list, self.reading.pictures)
        ):
            return self._paths(items)
        if isinstance(first, str):
            return [
                memory.texts_part(
                    items, name, total, self.batch_rows, self.text_column, self.reading
                )
            ]
        if is_picture(first) or (isinstance(first, bytes) and self.reading.pictures):
            rows = ({self.text_column: item} for item in items)
            if is_list:
                return [rows_part(list(rows), name, self.batch_rows, self.known, self.reading)]
            return [iterator_part(rows, name, self.batch_rows, self.known, self.reading)]
        if isinstance(first, (pa.Table, pa.RecordBatch)):
            return [memory.tables_part(first, items, name)]
        if type(first).__name__ == "DataFrame" and _library(first) in ("pandas", "polars"):
            return [frames.frames_part(items, name, self.known, self.reading)]
        if isinstance(first, (list, tuple)) or hasattr(first, "__array__"):
            return [memory.vectors_part(first, items, name, total, self.batch_rows, self.reading)]
        raise InvalidInputError(f"data is {name} of {type(first).__name__}. {ACCEPTED}")

    def _paths(self, items: Iterable[Any]) -> list[Part]:
        parts: list[Part] = []
        for number, item in enumerate(items):
            if not isinstance(item, (str, PathLike)):
                raise InvalidInputError(
                    f"item {number} is a {type(item).__name__}; the items before it are paths"
                )
            parts += self._path(item, fspath(item))
        return parts


def _library(data: Any) -> str:
    return type(data).__module__.split(".")[0]


def _are_addresses(texts: Iterable[Any]) -> bool:
    return all(isinstance(text, str) and text.startswith(SCHEMES) for text in texts)


def _are_paths(texts: Iterable[Any], is_list: bool, pictures: bool) -> bool:
    """Whether a list of str is one of paths.

    Raises:
        InvalidInputError: It could be either.
    """
    strings = [text for text in texts if isinstance(text, str)]
    read = (*suffixes(), *(PICTURES if pictures else ()))
    files = [text for text in strings if _names_file(text, read) and _is_file(text)]
    if files and not is_list:
        raise InvalidInputError(
            f"the iterator's first item, {files[0]!r}, is a file here, but a str from an iterator "
            f"is a text. {EXPLICIT}"
        )
    if files and len(files) < len(strings):
        other = next(text for text in strings if text not in files)
        raise InvalidInputError(
            f"{files[0]!r} is a file here, but {_shown(other)!r} is none: paths, or texts? "
            f"{EXPLICIT}"
        )
    if files:
        return True
    usual = main_suffixes()  # "Node.js" is a text, unless there is such a file
    if all(_names_file(text, usual) and not any(map(str.isspace, text)) for text in strings):
        raise InvalidInputError(
            f"there is no file {strings[0]!r}, though it looks like a path. {EXPLICIT}"
        )
    if all(_is_folder(text) for text in strings):
        raise InvalidInputError(f"{strings[0]!r} is a folder here: paths, or texts? {EXPLICIT}")
    return False


def _shown(path: str | PathLike[str]) -> str:
    """A path as a message names it: whole, since its end tells which file is meant.

    A text that no file system takes for a path is shortened in the middle.
    """
    text = fspath(path)
    longest_name = max(len(name) for name in text.split("/"))
    if len(text) < MAX_PATH and (isinstance(path, PathLike) or longest_name <= MAX_NAME):
        return text
    return f"{text[:50]} … {text[-30:]}"


def _names_file(text: str, kinds: tuple[str, ...]) -> bool:
    """Whether a text looks like the path of a file that can be read, of one of these kinds."""
    has_suffix = text[-20:].lower().removesuffix(".gz").endswith(kinds)
    return has_suffix and len(text) < MAX_PATH and "\n" not in text


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
