"""Cells: .h5ad files of AnnData, AnnData objects and sparse matrices -> the parts of a source.

A cell is a row: its name is the id, the columns of `obs` are metadata, and one matrix gives the
vectors. Files are read with h5py, those of old versions too; layout:
https://anndata.readthedocs.io/en/stable/fileformat-prose.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.common.optional import require
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part, SourceFile
from vecsearch.ingest.sources.encoding import refuse_gzip
from vecsearch.ingest.sources.memory import vector_column
from vecsearch.types import VECTOR

PREFERRED = "obsm/X_pca"  # the matrix of a file where none is named
SMALL = 3  # numbers of a matrix of `obsm` that becomes a column, such as a map of two dimensions


@dataclass(frozen=True)
class Cells:
    """The cells of a file or an object.

    Attributes:
        name: For messages.
        obs: The columns of the cells.
        names: Their names.
        matrices: Name -> numbers of a row; "X", "raw", "obsm/NAME" and "layers/NAME".
        rows: Reads rows of a matrix: its name, the first one, how many.
    """

    name: str
    names: pa.Array
    obs: dict[str, pa.Array]
    matrices: Mapping[str, int]
    rows: Callable[[str, int, int], Vectors]

    def part(self, wanted: str | None, batch_rows: int, id_column: str) -> Part:
        """The part with the vectors of one matrix.

        Args:
            wanted: The matrix; None takes `PREFERRED`, else the only one of `obsm`, else `X`.
            batch_rows: The most rows in a batch.
            id_column: The column of the names.

        Raises:
            InvalidInputError: There is no such matrix.
        """
        matrix = self._matrix(wanted)
        small = {
            key.removeprefix("obsm/"): key
            for key, width in self.matrices.items()
            if key.startswith("obsm/") and width <= SMALL and key != matrix
        }
        taken = (id_column, VECTOR, *small)
        columns = {f"obs_{key}" if key in taken else key: array for key, array in self.obs.items()}
        fields = [(id_column, self.names.type)]
        fields += [(key, array.type) for key, array in columns.items()]
        fields += [(key, pa.list_(pa.float32())) for key in small]
        fields += [(VECTOR, pa.list_(pa.float32(), self.matrices[matrix]))]
        schema = pa.schema(fields)

        def read(wanted: pa.Schema) -> Batches:
            for start in range(0, len(self.names), batch_rows):
                names = self.names.slice(start, batch_rows)
                arrays = [names, *(array.slice(start, batch_rows) for array in columns.values())]
                for key in small.values():
                    values = self.rows(key, start, len(names))
                    arrays.append(pa.array(list(values), pa.list_(pa.float32())))
                arrays.append(vector_column(self.rows(matrix, start, len(names))))
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

        return Part(f"{self.name}, {matrix}", len(self.names), schema, read)

    def _matrix(self, wanted: str | None) -> str:
        if wanted is None:
            maps = [key for key in self.matrices if key.startswith("obsm/")]
            found = PREFERRED if PREFERRED in maps else maps[0] if len(maps) == 1 else "X"
        else:
            found = wanted.strip("/")
            found = found if found in self.matrices else f"obsm/{found}"
        if found in self.matrices:
            return found
        sizes = ", ".join(f"{key} ({width:,})" for key, width in self.matrices.items()) or "none"
        about = f"no matrix {wanted!r}{did_you_mean(wanted, self.matrices)}" if wanted else "no X"
        raise InvalidInputError(f"{self.name} has {about}; its matrices of cells are: {sizes}")


def read_h5ad(file: SourceFile) -> Part:
    """A file of AnnData; `cells.h5ad::X` or `::X_umap` names the matrix of its vectors."""
    refuse_gzip(file.path, file.name, "unpack it")
    h5py: Any = require("h5py", "h5py", "biology", "Reading .h5ad files")

    @contextmanager
    def opened() -> Iterator[Any]:
        try:
            with h5py.File(file.path, "r") as hdf5:
                yield hdf5
        except InvalidInputError:
            raise
        except (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
            raise InvalidInputError(f"{file.name} is no whole .h5ad file: {error}") from error

    with opened() as hdf5:
        if "obs" not in hdf5:
            raise InvalidInputError(
                f"{file.name} has no 'obs', so it is no file of AnnData; it has: "
                f"{', '.join(hdf5) or 'nothing'}"
            )
        index, obs = _frame(hdf5, file)
        widths = _matrices(hdf5, len(index))

    def rows(key: str, start: int, count: int) -> Vectors:
        with opened() as hdf5:
            return _rows(hdf5, key, start, count)

    cells = Cells(file.name, index, obs, widths, rows)
    return cells.part(file.inside, file.batch_rows, file.reading.id_column)


def _frame(hdf5: Any, file: SourceFile) -> tuple[pa.Array, dict[str, pa.Array]]:
    """The names and the columns of `obs`."""
    obs = hdf5["obs"]
    if not hasattr(obs, "keys"):  # a table, as before anndata 0.7
        table = obs[:]
        columns = {name: table[name] for name in table.dtype.names}
        index = next(name for name in ("index", "_index", table.dtype.names[0]) if name in columns)
        names = _plain(columns.pop(index))
        found = {}
        for name, values in columns.items():
            labels = hdf5.get(f"uns/{name}_categories")
            found[name] = _plain(values) if labels is None else _labels(labels[:], values)
        return names.cast(pa.string()), found
    index = _text(obs.attrs.get("_index", "_index" if "_index" in obs else "index"))
    names = _column(obs[index], obs).cast(pa.string())
    found = {}
    for name in map(_text, obs.attrs.get("column-order", sorted(obs))):
        if name == index or name not in obs:
            continue
        try:
            found[name] = _column(obs[name], obs)
        except (InvalidInputError, pa.ArrowException) as error:
            file.reading.note_skipped(f"{file.path.name}, obs column {name}", str(error))
    for name, values in found.items():
        if len(values) != len(names):
            raise InvalidInputError(
                f"{file.name}: column {name!r} of obs has {len(values):,} values for "
                f"{len(names):,} cells"
            )
    return names, found


def _column(item: Any, obs: Any) -> pa.Array:
    """A column of `obs`, as it is encoded."""
    if not hasattr(item, "keys"):
        old = item.attrs.get("categories")
        if old is not None:  # a reference, as in anndata 0.7
            return _labels(obs.file[old][:], item[:])
        return _plain(item[:])
    if "codes" in item:
        return _labels(_column(item["categories"], obs).to_pylist(), item["codes"][:])
    if "values" in item and "mask" in item:
        mask = np.asarray(item["mask"][:], bool)
        return pa.array(_plain(item["values"][:]).to_pylist(), mask=mask)
    raise InvalidInputError(f"its encoding, {item.attrs.get('encoding-type')!r}, is not read")


def _labels(labels: Any, codes: Any) -> pa.Array:
    """Categories by their numbers; -1 is missing."""
    numbers = np.asarray(codes).astype(np.int64)
    names = labels if isinstance(labels, list) else _plain(labels).to_pylist()
    return pa.array(names).take(pa.array(numbers, mask=numbers < 0))


def _plain(values: Any) -> pa.Array:
    """An array of numbers, truth values or texts, as h5py reads it."""
    array = np.asarray(values)
    if array.dtype.kind in "SO":
        return pa.array([None if value is None else _text(value) for value in array.tolist()])
    if array.ndim != 1 or array.dtype.kind not in "biufU":
        raise InvalidInputError(f"{array.dtype} of shape {array.shape} is not read")
    return pa.array(array.astype(array.dtype.newbyteorder("=")))


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _matrices(hdf5: Any, cells: int) -> dict[str, int]:
    """The matrices with a row for each cell, and the length of its rows."""
    found: dict[str, int] = {}
    obsm = hdf5.get("obsm")
    if obsm is not None and not hasattr(obsm, "keys"):  # a table, as before anndata 0.7
        widths = {name: obsm.dtype[name].shape for name in obsm.dtype.names}
        found = {f"obsm/{name}": shape[0] for name, shape in widths.items() if len(shape) == 1}
    elif obsm is not None:
        found = {f"obsm/{name}": _shape(obsm[name])[1] for name in obsm}
    places = {"X": "X", "raw": "raw/X" if "raw/X" in hdf5 else "raw.X"}
    places |= {f"layers/{name}": f"layers/{name}" for name in hdf5.get("layers", ())}
    for key, place in places.items():
        if place in hdf5 and _shape(hdf5[place])[0] == cells:
            found[key] = _shape(hdf5[place])[1]
    return {key: width for key, width in found.items() if width}


def _shape(item: Any) -> tuple[int, int]:
    """(rows, columns); (0, 0) for what is no matrix, such as a table."""
    shape = item.attrs.get("shape", item.attrs.get("h5sparse_shape"))
    if shape is None and not hasattr(item, "keys"):
        shape = item.shape
    return (int(shape[0]), int(shape[1])) if shape is not None and len(shape) == 2 else (0, 0)


def _rows(hdf5: Any, key: str, start: int, count: int) -> Vectors:
    """Rows of a matrix, float32 (count, width)."""
    if key.startswith("obsm/") and not hasattr(hdf5["obsm"], "keys"):
        return np.ascontiguousarray(hdf5["obsm"][start : start + count][key[5:]], np.float32)
    place = key if key != "raw" else "raw/X" if "raw/X" in hdf5 else "raw.X"
    item = hdf5[place]
    if not hasattr(item, "keys"):
        return np.ascontiguousarray(item[start : start + count], np.float32)
    rows, width = _shape(item)
    kind = _text(item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", "csr")))
    if "csc" in kind:  # by columns: all of it is needed for any row
        from scipy.sparse import csc_matrix

        parts = (item["data"][:], item["indices"][:], item["indptr"][:])
        by_rows = csc_matrix(parts, shape=(rows, width)).tocsr()
        return _dense(by_rows[start : start + count])
    ends = item["indptr"][start : start + count + 1].astype(np.int64)
    first, last = int(ends[0]), int(ends[-1])
    columns = item["indices"][first:last].astype(np.int64)
    if len(columns) and not 0 <= columns.min() <= columns.max() < width:
        raise InvalidInputError(f"{key} has a column outside its {width:,}")
    out = np.zeros((len(ends) - 1, width), np.float32)
    owners = np.repeat(np.arange(len(out)), np.diff(ends))
    np.add.at(out, (owners, columns), item["data"][first:last])
    return out


def anndata_part(data: Any, batch_rows: int, id_column: str) -> Part:
    """An AnnData object in memory."""
    widths = {f"obsm/{key}": int(value.shape[1]) for key, value in data.obsm.items()}
    found: dict[str, Any] = {f"obsm/{key}": value for key, value in data.obsm.items()}
    if data.X is not None:
        found["X"], widths["X"] = data.X, int(data.X.shape[1])

    def rows(key: str, start: int, count: int) -> Vectors:
        matrix = found[key]
        matrix = matrix.iloc if hasattr(matrix, "iloc") else matrix
        return _dense(matrix[start : start + count])

    table = pa.Table.from_pandas(data.obs, preserve_index=False)
    obs = {
        name: column.combine_chunks()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    obs = {
        name: array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        for name, array in obs.items()
    }
    names = pa.array(list(map(str, data.obs_names)))
    return Cells("an AnnData", names, obs, widths, rows).part(None, batch_rows, id_column)


def sparse_part(matrix: Any, name: str, batch_rows: int) -> Part:
    """The rows of a sparse matrix of scipy as vectors; a batch of them is dense at a time."""
    if matrix.ndim != 2 or not matrix.shape[1] or matrix.dtype.kind not in "biuf":
        raise InvalidInputError(
            f"{name} of shape {matrix.shape} holds {matrix.dtype}; vectors are given as a matrix "
            "of numbers (rows, dim)"
        )
    rows = matrix.tocsr()
    schema = pa.schema([(VECTOR, pa.list_(pa.float32(), int(matrix.shape[1])))])

    def read(wanted: pa.Schema) -> Batches:
        for start in range(0, rows.shape[0], batch_rows):
            block = _dense(rows[start : start + batch_rows])
            yield pa.RecordBatch.from_arrays([vector_column(block)], schema=schema)

    return Part(name, int(rows.shape[0]), schema, read)


def _dense(block: Any) -> Vectors:
    block = block.toarray() if hasattr(block, "toarray") else block
    return np.ascontiguousarray(np.asarray(block), np.float32)
