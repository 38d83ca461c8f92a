"""MaxSim of a snapshot's rows: exact search, and the scores of what an index proposes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Positions, Scores, Vectors
from vecsearch.common.deadline import check_time
from vecsearch.index.faiss import FaissIndex
from vecsearch.index.maxsim import maxsim
from vecsearch.index.muvera import encoding_for
from vecsearch.index.named import NamedSnapshot
from vecsearch.index.ruler import TOLERANCE, Truth, Wide
from vecsearch.storage.selection import RowSelection

# A query as an array's item: all queries of an array can be taken, sliced and ordered together.
Queries = npt.NDArray[np.void]


def queries_of(snapshot: NamedSnapshot, lists: Sequence[Vectors]) -> Queries:
    """Queries of several vectors each: "encoded", "vectors" as they are compared, "number"."""
    encoding = encoding_for(snapshot.kind.dim)
    kind = [("encoded", np.float32, (encoding.dim,)), ("vectors", object), ("number", np.int64)]
    queries = np.empty(len(lists), kind)
    for number, vectors in enumerate(lists):
        vectors = snapshot.comparable(vectors)
        queries["encoded"][number] = encoding.query(vectors)
        queries["vectors"][number] = vectors
        queries["number"][number] = number
    return queries


def as_documents(queries: Queries) -> Vectors:
    """The encodings that documents of the same vectors have: float32 (nq, dim)."""
    lists = list(queries["vectors"])
    counts = np.array([len(each) for each in lists], np.int64)
    return encoding_for(lists[0].shape[1]).documents(np.concatenate(lists), counts)


class MaxSimScorer:
    """Scores rows with several vectors against queries with several. Thread-safe."""

    float32 = False  # no codes of the rows are compared with each other

    def __init__(self, snapshot: NamedSnapshot) -> None:
        self.snapshot = snapshot

    # -- final scores, in float64 --------------------------------------------------------------

    def final_scores(self, queries: Queries, rows: Positions) -> Wide:
        """The MaxSim of each query with its own rows: float64 (nq, width), -inf for the row -1."""
        scores = np.full(rows.shape, -np.inf)
        for query, listed, out in zip(queries, rows, scores, strict=True):
            present = np.flatnonzero(listed >= 0)
            out[present] = self._final(query["vectors"], listed[present])
        return scores

    def _final(self, query: Vectors, rows: Positions) -> Wide:
        scores = np.empty(len(rows))
        wide = query.astype(np.float64)
        for part in self.snapshot.blocks(rows):
            check_time()
            vectors, counts = self.snapshot.lists_of(rows[part])
            lists = np.split(vectors.astype(np.float64), np.cumsum(counts)[:-1])
            scores[part] = maxsim(wide, lists)
        return scores

    def best_final(
        self, query: np.void, rows: Positions, k: int, scores: Scores | None = None
    ) -> tuple[Scores, Positions]:
        """The k best of some rows with their final scores, best first."""
        final = self._final(query["vectors"], rows)
        order = np.lexsort((rows, -final))[:k]
        return final[order].astype(np.float32), rows[order]

    # -- exact search --------------------------------------------------------------------------

    def scores(self, queries: Queries, rows: Positions) -> tuple[Scores, Wide]:
        """The scores of all queries with some rows, and how far these may be off, at most.

        Returns:
            float32 (nq, rows), -inf for a row without vectors, and float64 (nq,).
        """
        out = np.empty((len(queries), len(rows)), np.float32)
        longest = 1.0
        for part in self.snapshot.blocks(rows):
            check_time()
            vectors, counts = self.snapshot.lists_of(rows[part])
            has = np.flatnonzero(counts)
            out[:, part] = -np.inf
            if not len(has):
                continue
            longest = max(longest, float(np.sqrt(np.square(vectors).sum(axis=1).max())))
            starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[has])[:-1]])
            for number, query in enumerate(queries):
                products = query["vectors"] @ vectors.T
                best = np.maximum.reduceat(products, starts, axis=1)
                out[number, part.start + has] = best.sum(axis=0)
        loss = (self.snapshot.kind.dim + 8) * 2.0**-24
        return out, 2 * loss * longest * _lengths(queries)

    def search(self, query: Queries, k: int, selection: RowSelection) -> tuple[Scores, Positions]:
        """The k best selected rows for one query, an array of one, by scoring all of them."""
        rows = selection.rows
        scores, errors = self.scores(query, rows)
        rows, near = rows[scores[0] > -np.inf], scores[0][scores[0] > -np.inf]
        if len(rows) > k > 0:
            kth = float(np.partition(near, len(near) - k)[len(near) - k])
            rows = rows[near >= kth - 2 * errors[0]]
        return self.best_final(query[0], rows, k)

    def truth(self, queries: Queries, k: int, selection: RowSelection, threads: int) -> Truth:
        """The exact answers that recall is measured against, at most k rows for each query."""
        width = min(k, selection.count)
        rows = np.full((len(queries), width), -1, np.int64)
        for number in range(len(queries)):
            _, found = self.search(queries[number : number + 1], width, selection)
            rows[number, : len(found)] = found
        scores = self.final_scores(queries, rows)
        slack = np.broadcast_to((TOLERANCE * _lengths(queries))[:, None], scores.shape)
        return Truth(rows, scores, slack)


class AllPairs:
    """The scores of some queries with some rows, all computed once, to measure an index with."""

    def __init__(self, scorer: MaxSimScorer, queries: Queries, rows: Positions) -> None:
        """queries: their "number" is their place. rows: ascending positions."""
        self.snapshot, self._rows = scorer.snapshot, rows
        self._scores, self._errors = scorer.scores(queries, rows)
        self._place = np.full(scorer.snapshot.rows + 1, len(rows), np.int64)  # the last is for -1
        self._place[rows] = np.arange(len(rows))

    def final_scores(self, queries: Queries, rows: Positions, threads: int = 1) -> Wide:
        """As `MaxSimScorer.final_scores`, with the errors of float32. They are known: `threads` is
        there for the other scorers."""
        padded = np.full((len(queries), rows.shape[1]), -np.inf)
        places = self._place[rows]
        known = places < len(self._rows)
        lines = np.broadcast_to(queries["number"][:, None], places.shape)
        padded[known] = self._scores[lines[known], places[known]]
        return padded

    def truth(self, queries: Queries, k: int, selection: RowSelection, threads: int) -> Truth:
        """As `MaxSimScorer.truth`, among the rows whose scores are known."""
        lines = self._scores[queries["number"]]
        k = min(k, lines.shape[1])
        best = np.argpartition(-lines, k - 1, axis=1)[:, :k]
        scores = np.take_along_axis(lines, best, axis=1)
        order = np.lexsort((best, -scores), axis=1)
        best = np.take_along_axis(best, order, axis=1)
        scores = np.take_along_axis(scores, order, axis=1).astype(np.float64)
        slack = np.broadcast_to(self._errors[queries["number"]][:, None], scores.shape)
        return Truth(self._rows[best], scores, slack)


class EncodedIndex:
    """An index of encodings, searched with queries of `queries_of`."""

    graph_search = None  # the kernels score candidates by single vectors
    starts_over = False

    def __init__(self, index: FaissIndex) -> None:
        self.index = index
        self.n, self.kind, self.code_bytes = index.n, index.kind, index.code_bytes

    def efforts(self) -> tuple[int, ...]:
        return self.index.efforts()

    def pool(self, effort: int) -> int:
        return self.index.pool(effort)

    def candidates(
        self, queries: Queries, depth: int, effort: int, threads: int = 1, row_map: object = None
    ) -> tuple[npt.NDArray[np.int64], Vectors]:
        encoded = np.ascontiguousarray(queries["encoded"])
        return self.index.candidates(encoded, depth, effort, threads, row_map)  # type: ignore[arg-type]

    def estimated(
        self, queries: Queries, depth: int, effort: int, threads: int = 1
    ) -> tuple[npt.NDArray[np.int64], Wide, float]:
        encoded = np.ascontiguousarray(queries["encoded"])
        return self.index.estimated(encoded, depth, effort, threads)

    def by_codes(self, queries: Queries, depth: int, threads: int = 1) -> None:
        return None

    def scores_at_large(self, queries: Queries) -> tuple[Wide, Wide] | None:
        """As of the index; the scores of encodings are those of one vector of the query."""
        found = self.index.scores_at_large(np.ascontiguousarray(queries["encoded"]))
        if found is None:
            return None
        counts = np.array([len(vectors) for vectors in queries["vectors"]], np.float64)
        return found[0] * counts, found[1] * counts


def _lengths(queries: Queries) -> Wide:
    """The sum of the lengths of each query's vectors: float64 (nq,)."""
    return np.array(
        [float(np.sqrt(np.square(each).sum(axis=1)).sum()) for each in queries["vectors"]]
    )


def each_of(queries: Queries) -> Iterator[Queries]:
    """Queries one by one, each as an array of one."""
    for number in range(len(queries)):
        yield queries[number : number + 1]
