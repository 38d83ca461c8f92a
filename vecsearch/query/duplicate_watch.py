"""Watches an add for documents that are nearly the same as others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.common.deadline import check_time
from vecsearch.query.ranking import VectorRanking
from vecsearch.query.searcher import Searcher
from vecsearch.storage.schema import vector_view
from vecsearch.types import VECTOR, DuplicatePair, Id, Metric

BLOCK = 8192  # earlier rows that are compared at a time


class DuplicateWatch:
    """Finds for each new document the most similar one, of those stored and those added before.

    Two documents score as their most similar passages. The vectors of the add stay in memory.

    Args:
        searcher: What the add began with.
        threshold: The least score of a duplicate.
        recall: The target of the searches among stored documents.
        skip: Whether duplicates are left out.
    """

    def __init__(self, searcher: Searcher, threshold: float, recall: float, *, skip: bool) -> None:
        self.pairs: list[DuplicatePair] = []
        self._searcher = searcher
        self._threshold = threshold
        self._recall = recall
        self._skip = skip
        self._vectors: list[npt.NDArray[np.float64]] = []
        self._ids: list[list[Id]] = []

    def filtered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows to store, of rows as a segment stores them; documents are whole."""
        manifest = self._searcher.snapshot.manifest
        ids: list[Id] = batch.column(0).to_pylist()
        vectors = self._queries(vector_view(batch.column(VECTOR), manifest.dim))
        stored = self._nearest_stored(batch.column(0), vectors)
        kept = np.ones(len(ids), bool)
        for start, end in _documents(ids):
            check_time()
            best = max((stored[row] for row in range(start, end)), key=lambda each: each[1])
            wide = self._wide(vectors[start:end])
            earlier = self._nearest_earlier(wide, ids[start])
            best = max(best, earlier, key=lambda each: each[1])
            if best[0] is not None and best[1] >= self._threshold:
                self.pairs.append(DuplicatePair(best[0], ids[start], best[1]))
                kept[start:end] = not self._skip
            if kept[start]:
                self._remember(wide, ids[start])
        return batch if kept.all() else batch.filter(pa.array(kept))

    def _queries(self, vectors: npt.NDArray[np.floating]) -> Vectors:
        if self._searcher.metric is not Metric.COSINE:
            return np.ascontiguousarray(vectors, np.float32)
        wide = vectors.astype(np.float64)
        wide /= np.sqrt(np.vecdot(wide, wide))[:, None]
        return wide.astype(np.float32)

    def _wide(self, queries: Vectors) -> npt.NDArray[np.float64]:
        """Queries in float64; for cosine of unit length in these digits, too."""
        wide = queries.astype(np.float64)
        if self._searcher.metric is Metric.COSINE:
            wide /= np.sqrt(np.vecdot(wide, wide))[:, None]
        return wide

    def _nearest_stored(self, ids: pa.Array, vectors: Vectors) -> list[tuple[Id | None, float]]:
        """The most similar stored row of each new one that is of another document."""
        snapshot, live = self._searcher.snapshot, self._searcher.snapshot.live
        nothing: tuple[Id | None, float] = (None, -np.inf)
        if not live.count:
            return [nothing] * len(vectors)
        lists = self._searcher.batch(vectors, 1, [live] * len(vectors), self._recall, False)
        owners, positions = snapshot.locate(ids)  # documents that this add replaces
        for row in np.unique(owners).tolist():
            own = np.sort(positions[owners == row])
            ranking = VectorRanking(self._searcher, vectors[row], live, self._recall, False, own)
            lists[row] = ranking.fetch(1)
        found = snapshot.ids_at(
            np.array([each.positions[0] for each in lists if len(each.positions)], np.int64)
        )
        names = iter(found)
        return [
            (next(names), float(each.scores[0])) if len(each.positions) else nothing
            for each in lists
        ]

    def _nearest_earlier(
        self, vectors: npt.NDArray[np.float64], own: Id
    ) -> tuple[Id | None, float]:
        """The most similar row of the documents added before."""
        best: tuple[Id | None, float] = (None, -np.inf)
        for block, ids in zip(self._vectors, self._ids, strict=True):
            part = block[: len(ids)]
            if self._searcher.metric is Metric.L2:
                scores = np.stack([-((part - row) ** 2).sum(axis=1) for row in vectors])
            else:
                scores = vectors @ part.T
            place = int(scores.max(axis=0).argmax())
            score = float(np.float32(scores[:, place].max()))
            if score > best[1] and ids[place] != own:
                best = ids[place], score
        return best

    def _remember(self, vectors: npt.NDArray[np.float64], which: Id) -> None:
        for row in vectors:
            if not self._ids or len(self._ids[-1]) == BLOCK:
                self._vectors.append(np.empty((BLOCK, len(row))))
                self._ids.append([])
            self._vectors[-1][len(self._ids[-1])] = row
            self._ids[-1].append(which)


def _documents(ids: list[Id]) -> Iterator[tuple[int, int]]:
    """Where each document's rows begin and end; they are neighbors."""
    start = 0
    for row in range(1, len(ids) + 1):
        if row == len(ids) or ids[row] != ids[start]:
            yield start, row
            start = row
