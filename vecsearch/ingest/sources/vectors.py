"""Vectors that exist already -> the parts of a source: .npy and HDF5 files, and the indexes of FAISS and hnswlib.

A matrix gives the column `vector`; an index also `id`, the ids its vectors were added under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.optional import require
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part
from vecsearch.ingest.sources.csv import ID, VECTOR
from vecsearch.ingest.sources.memory import matrix_part

HDF5 = (".h5", ".hdf5")
FAISS = (".faiss", ".index")
READY = (".npy", *HDF5, *FAISS)
INSIDE = "::"  # between an HDF5 file and the data set in it: vectors.h5::train
Ids = npt.NDArray[np.int64]


def npy_part(path: Path, name: str, batch_rows: int) -> Part:
    """A matrix saved by numpy, mapped into memory, not loaded."""
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy evaluates the header, and lets many kinds of errors through
        raise InvalidInputError(f"{name} is not a whole .npy file of numbers: {error}") from error
    if not isinstance(matrix, np.ndarray):
        raise InvalidInputError(
            f"{name} is an archive of arrays; save the one with the vectors by numpy.save"
        )
    return matrix_part(matrix, name, batch_rows)


def split_inside(path: Path) -> tuple[Path, str | None]:
    """`vectors.h5::train` -> the file and the data set in it; None for any other path."""
    file, mark, inside = str(path).rpartition(INSIDE)
    return (Path(file), inside) if mark and file.lower().endswith(HDF5) else (path, None)


def hdf5_part(path: Path, dataset: str | None, name: str, batch_rows: int) -> Part:
    """A two-dimensional data set of an HDF5 file, read batch by batch: the one named, or the only one there is."""
    h5py = require("h5py", "h5py", "hdf5", "Reading HDF5 files")

    @contextmanager
    def opened() -> Iterator[Any]:
        try:
            with h5py.File(path, "r") as file:
                yield file
        except OSError as error:
            raise InvalidInputError(f"{name} is not a whole HDF5 file: {error}") from error

    with opened() as file:
        found: dict[str, Any] = {}
        file.visititems(
            lambda key, item: found.update({key: item}) if isinstance(item, h5py.Dataset) else None
        )
        wanted = _dataset_in(found, dataset, name)
        part = matrix_part(found[wanted], f"{name}, data set {wanted!r}", batch_rows)

    def read(schema: pa.Schema) -> Batches:
        with opened() as file:
            yield from matrix_part(file[wanted], part.name, batch_rows).read(schema)

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


def faiss_file_part(path: Path, name: str, batch_rows: int) -> Part:
    """A FAISS index in a file. FAISS trusts what it reads: open only files from people you trust."""
    import faiss

    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise InvalidInputError(
            f"{name} is not a whole FAISS index of float vectors: {_reason(error)}"
        ) from error
    return faiss_part(index, name, batch_rows)


def faiss_part(index: Any, name: str, batch_rows: int) -> Part:
    """The vectors and ids of a FAISS index, as far as it keeps vectors: one that compresses gives approximate ones back.

    An index that rotates or reduces vectors first gives them in their first form, less what the reduction took away.
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
            f"{name} is a {type(inner).__name__}, which does not give its vectors back: {_reason(error)}"
        ) from error
    return _numbered(name, keys if ids is None else ids, int(inner.d), batch_rows, vectors)


def _keys(index: Any) -> Ids:
    """What the index itself calls its vectors, rising: 0, 1, 2 …, unless an inverted file was given ids with them."""
    import faiss

    lists = faiss.try_extract_index_ivf(index)
    if lists is None:
        return np.arange(index.ntotal, dtype=np.int64)
    inverted = lists.invlists
    sizes = [inverted.list_size(at) for at in range(lists.nlist)]
    found = [
        faiss.rev_swig_ptr(inverted.get_ids(at), size).copy()
        for at, size in enumerate(sizes)
        if size
    ]
    return np.sort(np.concatenate([np.empty(0, np.int64), *found]))


def _faiss_vectors(
    owner: Any, index: Any, keys: Ids, in_order: bool, start: int, count: int
) -> npt.NDArray[np.float32]:
    """The vectors of keys[start:start + count], float32 (count, dim). `index` may be a view into `owner`, which is held so
    that it lives as long.

    Vectors under ids of one's own are found through a map, which the index is given only for the time of the reading.
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


def hnswlib_part(index: Any, name: str, batch_rows: int) -> Part:
    """The vectors of an hnswlib.Index under their labels; in its cosine space they have unit length."""
    ids = np.sort(np.asarray(index.get_ids_list(), dtype=np.int64))

    def items(start: int, count: int) -> npt.NDArray[np.float32]:
        return np.asarray(index.get_items(ids[start : start + count]), dtype=np.float32)

    return _numbered(name, ids, int(index.dim), batch_rows, items)


def _numbered(
    name: str,
    ids: Ids,
    dim: int,
    batch_rows: int,
    vectors: Callable[[int, int], npt.NDArray[np.float32]],
) -> Part:
    schema = pa.schema([(ID, pa.int64()), (VECTOR, pa.list_(pa.float32(), dim))])

    def read(wanted: pa.Schema) -> Batches:
        for start in range(0, len(ids), batch_rows):
            some = ids[start : start + batch_rows]
            matrix = np.ascontiguousarray(vectors(start, len(some)), np.float32)
            column = pa.FixedSizeListArray.from_arrays(
                pa.array(matrix.ravel()), type=schema.field(VECTOR).type
            )
            yield pa.RecordBatch.from_arrays([pa.array(some, pa.int64()), column], schema=schema)

    return Part(name, len(ids), schema, read)


def _reason(error: BaseException) -> str:
    """FAISS tells where in its own source it stopped; what a person needs is in the last part."""
    return str(error).strip().rpartition("\n")[2].rpartition("Error: ")[2] or type(error).__name__
