"""Given vectors -> the parts of a source: .npy and HDF5 files, and objects of other libraries.

A matrix gives the column `vector`. An index of FAISS or hnswlib also gives `id`, the ids its
vectors were added under; word vectors of gensim give the words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.faiss_errors import faiss_reason
from vecsearch.common.optional import require
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part, SourceFile
from vecsearch.ingest.sources.encoding import refuse_gzip
from vecsearch.ingest.sources.memory import matrix_part, vector_column
from vecsearch.types import ID, VECTOR

INSIDE = "::"  # between an HDF5 file and the data set in it: vectors.h5::train
Ids = npt.NDArray[np.int64]


def read_npy(file: SourceFile) -> Part:
    """A matrix saved by numpy, mapped into memory, not loaded."""
    refuse_gzip(file.path, file.name, "unpack it")
    try:
        matrix = np.load(file.path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy evaluates the header, so that any error may come from it
        raise InvalidInputError(
            f"{file.name} is not a whole .npy file of numbers: {error}"
        ) from error
    if not isinstance(matrix, np.ndarray):
        raise InvalidInputError(
            f"{file.name} is an archive of arrays; save the one with the vectors by numpy.save"
        )
    return matrix_part(matrix, file.name, file.batch_rows)


def read_hdf5(file: SourceFile) -> Part:
    """A two-dimensional data set of an HDF5 file, read batch by batch: the one named, or the only
    one there is."""
    refuse_gzip(file.path, file.name, "unpack it")
    h5py: Any = require("h5py", "h5py", "hdf5", "Reading HDF5 files")

    @contextmanager
    def opened() -> Iterator[Any]:
        try:
            with h5py.File(file.path, "r") as hdf5:
                yield hdf5
        except OSError as error:
            raise InvalidInputError(f"{file.name} is not a whole HDF5 file: {error}") from error

    datasets: dict[str, Any] = {}

    def collect(key: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            datasets[key] = item

    with opened() as hdf5:
        hdf5.visititems(collect)
        key = _dataset_in(datasets, file.inside, file.name)
        part = matrix_part(datasets[key], f"{file.name}, data set {key!r}", file.batch_rows)

    def read(wanted: pa.Schema) -> Batches:
        with opened() as hdf5:
            yield from matrix_part(hdf5[key], part.name, file.batch_rows).read(wanted)

    return Part(part.name, part.total, part.schema, read)


def _dataset_in(found: dict[str, Any], wanted: str | None, name: str) -> str:
    if wanted is not None and wanted.strip("/") in found:
        return wanted.strip("/")
    matrices = [key for key, item in found.items() if len(item.shape or ()) == 2]
    if wanted is None and len(matrices) == 1:
        return matrices[0]
    shapes = ", ".join(f"{key} {item.shape}" for key, item in found.items()) or "none"
    if wanted is not None:
        raise InvalidInputError(f"{name}: there is no data set {wanted!r}; there are: {shapes}")
    example = f"name one, such as {name + INSIDE + matrices[0]}" if matrices else ""
    raise InvalidInputError(
        f"{name} holds {len(matrices)} matrices (rows, dim), not one; its data sets are: {shapes}",
        hint=example,
    )


def read_faiss(file: SourceFile) -> Part:
    """A FAISS index. FAISS trusts what it reads: open only files from people you trust."""
    import faiss

    refuse_gzip(file.path, file.name, "unpack it")
    try:
        index = faiss.read_index(str(file.path))
    except RuntimeError as error:
        raise InvalidInputError(
            f"{file.name} is not a whole FAISS index of float vectors: {faiss_reason(error)}"
        ) from error
    return faiss_part(index, file.name, file.batch_rows, file.reading.id_column)


def faiss_part(index: Any, name: str, batch_rows: int, id_column: str = ID) -> Part:
    """The vectors and ids of a FAISS index.

    An index that compresses vectors gives approximate ones. One that rotates or reduces vectors
    first gives them in their original form, less what the reduction removed.

    Raises:
        InvalidInputError: The index is of bits, or does not keep its vectors.
    """
    import faiss

    if not isinstance(index, faiss.Index):
        raise InvalidInputError(f"{name} is an index of bits, not of vectors of numbers")
    inner = faiss.downcast_index(index)
    ids: Ids | None = None
    if isinstance(inner, (faiss.IndexIDMap, faiss.IndexIDMap2)):
        ids, inner = faiss.vector_to_array(inner.id_map), faiss.downcast_index(inner.index)
    keys = _keys(inner)
    vectors = partial(
        _faiss_vectors, index, inner, keys, np.array_equal(keys, np.arange(len(keys)))
    )
    try:
        vectors(0, min(1, len(keys)))
    except RuntimeError as error:
        raise InvalidInputError(
            f"{name} is a {type(inner).__name__}, which does not give its vectors back: "
            f"{faiss_reason(error)}"
        ) from error
    numbers = keys if ids is None else ids
    return _numbered(name, numbers, int(inner.d), batch_rows, vectors, id_column)


def _keys(index: Any) -> Ids:
    """The index's own ids, ascending: 0, 1, 2 …, unless an inverted file was given others."""
    import faiss

    lists = faiss.try_extract_index_ivf(index)
    if lists is None:
        return np.arange(index.ntotal, dtype=np.int64)
    inverted = lists.invlists
    sizes = [inverted.list_size(number) for number in range(lists.nlist)]
    found = [
        faiss.rev_swig_ptr(inverted.get_ids(number), size).copy()
        for number, size in enumerate(sizes)
        if size
    ]
    return np.sort(np.concatenate([np.empty(0, np.int64), *found]))


def _faiss_vectors(
    owner: Any, index: Any, keys: Ids, in_order: bool, start: int, count: int
) -> npt.NDArray[np.float32]:
    """The vectors of keys[start:start + count], float32 (count, dim).

    `index` may be a view into `owner`, which is an argument so that it lives as long. Vectors under
    given ids are found through a map, which the index has only during the reading.
    """
    import faiss

    if in_order:
        return np.asarray(index.reconstruct_n(start, count))
    lists = faiss.extract_index_ivf(index)
    before = lists.direct_map.type
    lists.set_direct_map_type(faiss.DirectMap.Hashtable)
    try:
        return np.asarray(index.reconstruct_batch(keys[start : start + count]))
    finally:
        lists.set_direct_map_type(before)


def hnswlib_part(index: Any, name: str, batch_rows: int, id_column: str = ID) -> Part:
    """The vectors of an hnswlib.Index under their labels; in cosine space, of unit length."""
    ids = np.sort(np.asarray(index.get_ids_list(), dtype=np.int64))

    def items(start: int, count: int) -> npt.NDArray[np.float32]:
        return np.asarray(index.get_items(ids[start : start + count]), dtype=np.float32)

    return _numbered(name, ids, int(index.dim), batch_rows, items, id_column)


def gensim_part(words: Any, name: str, batch_rows: int, id_column: str = ID) -> Part:
    """The vectors of gensim's KeyedVectors under their words."""
    keys = pa.array(list(map(str, words.index_to_key)), pa.large_string())

    def rows(start: int, count: int) -> npt.NDArray[np.float32]:
        return np.asarray(words.vectors[start : start + count], dtype=np.float32)

    return _named(name, keys, int(words.vector_size), batch_rows, rows, id_column)


def _numbered(
    name: str,
    ids: Ids,
    dim: int,
    batch_rows: int,
    vectors: Callable[[int, int], npt.NDArray[np.float32]],
    id_column: str,
) -> Part:
    return _named(name, pa.array(ids, pa.int64()), dim, batch_rows, vectors, id_column)


def _named(
    name: str,
    ids: pa.Array,
    dim: int,
    batch_rows: int,
    vectors: Callable[[int, int], npt.NDArray[np.float32]],
    id_column: str,
) -> Part:
    schema = pa.schema([(id_column, ids.type), (VECTOR, pa.list_(pa.float32(), dim))])

    def read(wanted: pa.Schema) -> Batches:
        for start in range(0, len(ids), batch_rows):
            block = ids.slice(start, batch_rows)
            matrix = np.ascontiguousarray(vectors(start, len(block)), np.float32)
            columns = [block, vector_column(matrix)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return Part(name, len(ids), schema, read)
