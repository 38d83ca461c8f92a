"""The documents of a selection as units: which rows each has, and its vector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.common.lazy import lazy
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric

BLOCK = 8192  # rows that are read at a time


class Units:
    """The documents (or passages) of a selection.

    Attributes:
        rows: Positions of the selected rows, ascending.
        owners: int64 (rows,): the number of the unit that each row belongs to. Units are numbered
            by their first rows.
        ids: The id of each unit.
    """

    def __init__(self, snapshot: Snapshot, selection: RowSelection, *, passages: bool) -> None:
        self.snapshot = snapshot
        self.rows = selection.rows
        ids = snapshot.take([snapshot.manifest.id_column], self.rows).column(0)
        if passages or not snapshot.manifest.chunked:
            self.owners: Positions = np.arange(len(self.rows))
            self.ids: pa.Array = ids
        else:
            encoded = ids.dictionary_encode()
            self.owners = encoded.indices.to_numpy().astype(np.int64)
            self.ids = encoded.dictionary

    def __len__(self) -> int:
        return len(self.ids)

    @lazy
    def owner_of(self) -> Positions:
        """The unit of each row of the snapshot; -1 for rows that are not selected."""
        owners = np.full(self.snapshot.rows, -1, np.int64)
        owners[self.rows] = self.owners
        return owners

    @lazy
    def first_rows(self) -> Positions:
        """The first row of each unit."""
        return self.rows[np.unique(self.owners, return_index=True)[1]]

    def blocks(self, size: int = BLOCK) -> Iterator[slice]:
        """Slices of the rows."""
        for first in range(0, len(self.rows), size):
            yield slice(first, min(first + size, len(self.rows)))

    def queries(self, rows: Positions) -> Vectors:
        """The vectors of rows as queries are: with cosine of unit length."""
        vectors = self.snapshot.stored_vectors(rows)
        if self.snapshot.manifest.metric is not Metric.COSINE:
            return vectors
        wide = vectors.astype(np.float64)
        wide /= np.sqrt(np.vecdot(wide, wide))[:, None]
        return wide.astype(np.float32)

    def vectors(self) -> Vectors:
        """The vector of each unit, float32 (units, dim): the mean of its rows as they were given.

        With cosine of unit length; where the rows cancel out, zeros.
        """
        dim, metric = self.snapshot.manifest.dim, self.snapshot.manifest.metric
        sums = np.zeros((len(self), dim), np.float32)
        for part in self.blocks():
            np.add.at(sums, self.owners[part], self.snapshot.vectors_at(self.rows[part]))
        sums /= np.bincount(self.owners, minlength=len(self))[:, None].astype(np.float32)
        if metric is Metric.COSINE:
            lengths = np.linalg.norm(sums, axis=1, keepdims=True)
            sums /= np.where(lengths > 0, lengths, 1)
        return sums

    def column(self, name: str) -> pa.Array:
        """The values of a column of metadata, one for each unit."""
        return self.snapshot.take([name], self.first_rows).column(0)

    def texts(self) -> list[str] | None:
        """The text of each unit, its passages joined; None in a collection without texts."""
        columns = self.snapshot.manifest.text_columns
        if not columns:
            return None
        parts: list[list[str]] = [[] for _ in range(len(self))]
        for part in self.blocks():
            batch = self.snapshot.take(list(columns), self.rows[part])
            for name in columns:
                kind = batch.schema.field(name).type
                if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                    return None  # pictures
                for owner, text in zip(
                    self.owners[part].tolist(), batch.column(name).to_pylist(), strict=True
                ):
                    if text:
                        parts[owner].append(text)
        return ["\n".join(texts) for texts in parts]


def take_ids(ids: pa.Array, numbers: npt.NDArray[Any]) -> pa.Array:
    """Ids of units by their numbers."""
    return pc.take(ids, pa.array(numbers))
