"""Rows in no index: the codes of most of them, so that a search compares these first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Mask, Positions, StoredVectors
from vecsearch.common.lazy import lazy
from vecsearch.index.attached import AttachedIndex
from vecsearch.index.faiss import NOTHING_OUTSIDE, FaissIndex
from vecsearch.storage.manifest import IndexEntry, Manifest
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric

MOST_CODES = 131_072  # rows outside; the codes of more would take long to compute, and much memory
BLOCK_ROWS = 4096  # whose codes are computed together
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class OutsideCodes:
    """Codes of rows outside the indexes, deleted ones included.

    Args:
        coded: Positions of the rows with codes, ascending.
        codes: Their codes, uint8 (rows, code bytes), comparable with those of the main index.
        uncoded: Positions of the others, ascending: no code stands for them well enough.
    """

    coded: Positions
    codes: Codes
    uncoded: Positions

    def in_selection(self, mask: Mask | None) -> tuple[Codes, npt.NDArray[np.int32]]:
        """The codes, and the position of each, -1 for one that is not selected."""
        if not len(self.coded):
            return NOTHING_OUTSIDE
        rows = self.coded if mask is None else np.where(mask[self.coded], self.coded, -1)
        return self.codes, rows.astype(np.int32)


class Outside:
    """The rows of a snapshot that a search by an index takes beside those of the index."""

    def __init__(self, snapshot: Snapshot, attached: AttachedIndex) -> None:
        self._snapshot = snapshot
        self._attached = attached

    @property
    def rows(self) -> Positions:
        """Positions, ascending, deleted ones included."""
        return self._attached.unindexed_rows

    @lazy
    def codes(self) -> OutsideCodes:
        """Computed when a search first needs them: their vectors are read for it."""
        rows, snapshot = self.rows, self._snapshot
        index, entry = self._attached.index, self._attached.entry
        usable = index is not None and index.graph_search is not None
        if index is None or entry is None or not usable or not 0 < len(rows) <= MOST_CODES:
            return OutsideCodes(rows[:0], NOTHING_OUTSIDE[0], rows)
        codes: list[Codes] = []
        fits: list[Mask] = []
        order: list[Positions] = []
        for number, indices, within in snapshot.split(rows):
            segment, vectors = snapshot.manifest.segments[number], snapshot.vectors_of(number)
            if len(within) == segment.rows:
                # An update may write named vectors again; the collection's own stay in the file.
                name = segment.name if snapshot.column else segment.file.name
                names = name, entry.name
                found = snapshot.files.computed(names, partial(_coded, index, vectors))
            else:
                found = _coded(index, vectors[within])
            codes.append(found[0])
            fits.append(found[1])
            order.append(indices)
        fit, listed = np.concatenate(fits), rows[np.concatenate(order)]
        return OutsideCodes(listed[fit], np.concatenate(codes)[fit], listed[~fit])


def _coded(index: FaissIndex, vectors: StoredVectors) -> tuple[Codes, Mask]:
    """Codes of rows, and which of them the index was trained for."""
    codes, fits = [], []
    for first in range(0, len(vectors), BLOCK_ROWS):
        block = np.ascontiguousarray(vectors[first : first + BLOCK_ROWS], np.float32)
        codes.append(index.codes(block))
        fits.append(index.covers(block))
    return np.concatenate(codes), np.concatenate(fits)


def has_codes(manifest: Manifest, entry: IndexEntry | None) -> bool:
    """Whether searches compare the codes of rows outside an index, with numba or without."""
    recipe = {} if entry is None else entry.recipe
    fits = (recipe.get("kind"), recipe.get("code")) == ("hnsw", "sq8")
    return fits and manifest.dtype == "float32" and manifest.metric is not Metric.IP
