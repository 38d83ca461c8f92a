"""The nearest rows of many queries at once, by products of matrices.

A row is read once for hundreds of queries, which is four times as fast as query by query. The
products are float32, so their errors differ from those of other ways to sum. So what is found here
are candidates: every row that may be among the k best in exact arithmetic. The caller gives each
its final score.

Proof. Let E bound the error of a product. The k rows with the best products, the least of them t,
have true scores of at least t - E. A row that is left out has a product below t - 2E, so its true
score is below t - E: there are k better ones. While rows are still coming, the k-th best so far is
at most t, so nothing is left out too early.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator, Sequence
from types import ModuleType

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Mask, Positions, Scores, StoredVectors, Vectors
from vecsearch.common.blas import one_blas_thread
from vecsearch.common.deadline import check_time
from vecsearch.common.engines import engine_for
from vecsearch.index.kernels.arguments import TILE
from vecsearch.index.kernels.loader import LOADER

LEAST_QUERIES = 4  # from so many queries on, products are faster than one query after another
MOST_K = 2048  # for more, what is kept of the products is most of the work
BLOCK_ROWS = 2048  # rows of a product: it stays in the cache of a core
FEW_QUERIES = 48  # so few are multiplied rows first, in two thirds of the time, without kernels
GROUP_QUERIES = 256  # queries of a product, at most
SHARED_QUERIES = 128  # for a thread; with fewer, threads divide the rows instead
GROUP_HITS = 262_144  # rows kept for the queries of a group: fewer queries for a larger k
FOUND = 16_384  # rows that the compiled kernel lists at a time
PART = 512  # products whose maximum is compared first
LARGE_K, SMALL_PART = 256, 128  # a large k finds rows in most parts, so they are smaller
CROWDED = 8  # a query for which so many times k rows are near the k-th is left to the caller
CROWDED_ROWS = 4096  # and more than this

NOTHING = np.empty(0, np.float32)

Part = tuple[StoredVectors, int, Mask | None, Scores | None]
Parts = Sequence[Part]
Candidates = list[Positions | None]
Wide = npt.NDArray[np.float64]


def candidates(
    parts: Parts,
    queries: Vectors,
    k: int,
    errors: Wide,
    threads: int,
) -> Candidates:
    """Every row that may be one of the k best, for each query.

    Args:
        parts: Vectors, float32 or float16 (n, dim); the position of the first; which may be found,
            None for all; and what to take from the products of each, float32 (n,), None for
            nothing. Half of the squared lengths orders rows as Euclidean distances do.
        queries: float32 (nq, dim).
        k: How many rows are wanted; fewer rows than that may be selected.
        errors: How far a product, less what is taken from it, may lie from the true one, for each
            query, float64 (nq,).
        threads: How many threads to use.

    Returns:
        Positions, int64, in no order; None for a query with so many near its k-th that it is
        better answered by itself.
    """
    LOADER.count_work(len(queries) * sum(part[0].size for part in parts))
    size = max(8, min(GROUP_QUERIES, GROUP_HITS // k))
    shares = [parts]
    if len(queries) >= threads * SHARED_QUERIES:  # each thread has queries of its own
        size = min(size, -(-len(queries) // threads))
    else:  # a product of fewer is slower, so each thread has rows of its own
        shares = _shares(parts, threads)
    groups = [slice(first, first + size) for first in range(0, len(queries), size)]

    def work(item: tuple[contextvars.Context, slice, Parts]) -> Candidates:
        context, group, share = item
        return context.run(_group, share, queries[group], k, errors[group])

    found: Candidates = []
    with one_blas_thread():
        items = [(contextvars.copy_context(), group, share) for group in groups for share in shares]
        answers = list(engine_for(threads).map(work, items))
    for first in range(0, len(answers), len(shares)):
        found += map(_together, zip(*answers[first : first + len(shares)], strict=True))
    return found


def _shares(parts: Parts, count: int) -> list[Parts]:
    """The rows in `count` shares; fewer if there are few rows."""
    total = sum(len(part[0]) for part in parts)
    size = max(-(-total // count), BLOCK_ROWS)
    shares: list[list[Part]] = [[]]
    free = size
    for vectors, start, mask, less in parts:
        first = 0
        while first < len(vectors):
            if not free:
                shares.append([])
                free = size
            some = slice(first, min(first + free, len(vectors)))
            shares[-1].append(
                (
                    vectors[some],
                    start + first,
                    None if mask is None else mask[some],
                    None if less is None else less[some],
                )
            )
            free -= some.stop - first
            first = some.stop
    return list(shares)


def _together(found: tuple[Positions | None, ...]) -> Positions | None:
    """What shares of the rows gave for one query."""
    some = [rows for rows in found if rows is not None]
    if len(some) < len(found):
        return None
    return some[0] if len(some) == 1 else np.concatenate(some)


def _group(parts: Parts, queries: Vectors, k: int, errors: Wide) -> Candidates:
    kernels = LOADER.module
    by_row = kernels is not None or len(queries) < FEW_QUERIES
    nearest = _Nearest(k, errors, kernels)
    out = np.empty((2, len(queries) * BLOCK_ROWS), np.float32)
    queries = np.ascontiguousarray(queries)
    turned = np.ascontiguousarray(queries.T)
    for block, rows, less in _blocks(parts):
        check_time()
        shape = len(queries), len(block)
        place, other = (buffer[: len(queries) * len(block)] for buffer in out)
        with np.errstate(invalid="ignore"):  # a damaged vector may hold infinity
            if by_row:
                products = np.matmul(block, turned, out=place.reshape(shape[::-1])).T
            else:
                products = np.matmul(queries, block.T, out=place.reshape(shape))
            if less is not None and kernels is None:
                products -= less
        if by_row and kernels is None:
            np.copyto(other.reshape(shape), products)
            products = other.reshape(shape)
        nearest.add(products, rows, less)
    return nearest.result()


def _blocks(
    parts: Parts,
) -> Iterator[tuple[Vectors, Positions | int, Scores | None]]:
    """Selected rows as float32, their positions or that of the first if none is missing, and what
    to take from their products."""
    for vectors, start, mask, less in parts:
        rows = None if mask is None else np.flatnonzero(mask)
        for first in range(0, len(vectors) if rows is None else len(rows), BLOCK_ROWS):
            some = slice(first, first + BLOCK_ROWS)
            chosen = some if rows is None else rows[some]
            block = vectors[chosen].astype(np.float32, copy=False)
            part = None if less is None else less[chosen]
            yield block, start + first if rows is None else rows[some] + start, part


class _Nearest:
    """The rows near enough so far, for the queries of one group."""

    def __init__(self, k: int, errors: Wide, kernels: ModuleType | None) -> None:
        count = len(errors)
        self.k = k
        self._kernels = kernels
        self.slack = 2 * errors
        self.least = np.full(count, -np.inf, np.float32)  # what a product must reach
        self.crowded = np.zeros(count, bool)
        self.part = PART if k <= LARGE_K else SMALL_PART
        self._owners: list[Positions] = []
        self._rows: list[Positions] = []
        self._scores: list[Scores] = []
        self._kept = self._new = 0

    def add(self, products: Scores, rows: Positions | int, less: Scores | None) -> None:
        """Take products, float32 (queries, rows of a block).

        With kernels they are a turned view, from which `less` is still to be taken.
        """
        count, width = products.shape
        if not self._kept and not self._new and width > self.k:  # a first bound
            some = products[:, : max(PART, 4 * self.k)]
            if less is not None and self._kernels is not None:
                some = some - less[: some.shape[1]]
            known = np.where(np.isnan(some), np.float32(-np.inf), some)
            place = known.shape[1] - self.k
            self._raise(np.arange(count), np.partition(known, place, axis=1)[:, place])
        if self._kernels is None:
            self._look(products, rows)
        else:
            self._look_compiled(self._kernels, products.T, NOTHING if less is None else less, rows)
        if self._new > max(count * self.k, 4 * PART):
            self._prune()

    def _look_compiled(
        self, kernels: ModuleType, products: Scores, less: Scores, rows: Positions | int
    ) -> None:
        """As `_look`, reading products (rows, queries) once while they are in the cache."""
        height, count = products.shape
        room = TILE * count + FOUND
        owners, places = np.empty(room, np.int64), np.empty(room, np.int64)
        values, first = np.empty(room, np.float32), 0
        while first < height:
            found, first = kernels.near(products, less, self.least, first, owners, places, values)
            if found:
                some = slice(found)
                self._keep(owners[some].copy(), places[some].copy(), values[some].copy(), rows)

    def _look(self, products: Scores, rows: Positions | int) -> None:
        """Keep the products that reach the bound of their query."""
        count, width = products.shape
        whole = width - width % self.part
        tiles = products[:, :whole].reshape(count, -1, self.part)
        # A product that is not a number, of a damaged vector, must not hide the others.
        owner, tile = np.nonzero(~(tiles.max(axis=2) < self.least[:, None]))
        values = tiles[owner, tile]
        hit, place = np.nonzero(values >= self.least[owner, None])
        self._keep(owner[hit], tile[hit] * self.part + place, values[hit, place], rows)
        if whole < width:
            rest = products[:, whole:]
            owner, place = np.nonzero(rest >= self.least[:, None])
            self._keep(owner, place + whole, rest[owner, place], rows)

    def _keep(
        self, owners: Positions, places: Positions, scores: Scores, rows: Positions | int
    ) -> None:
        self._owners.append(owners)
        self._rows.append(places + rows if isinstance(rows, int) else rows[places])
        self._scores.append(scores)
        self._new += len(owners)

    def _raise(self, owners: Positions, kth: Scores) -> None:
        """The k-th best of some queries is known to be at least this."""
        bound = np.fmax(kth.astype(np.float64) - self.slack[owners], -np.inf)  # infinities: not NaN
        least = np.nextafter(bound.astype(np.float32), np.float32(-np.inf))
        self.least[owners] = np.where(self.crowded[owners], np.float32(np.inf), least)

    def _prune(self) -> None:
        """Keep what is within the errors of the k-th best so far."""
        owners, rows = np.concatenate(self._owners), np.concatenate(self._rows)
        scores = np.concatenate(self._scores)
        order = np.lexsort((-scores, owners))
        owners, rows, scores = owners[order], rows[order], scores[order]
        starts = np.searchsorted(owners, np.arange(len(self.least) + 1))
        full = np.flatnonzero(np.diff(starts) >= self.k)
        self._raise(full, scores[starts[full] + self.k - 1])
        near = scores >= self.least[owners]
        counts = np.bincount(owners[near], minlength=len(self.least))
        crowded = counts > max(CROWDED * self.k, CROWDED_ROWS)
        if crowded.any():
            self.crowded |= crowded
            self.least[crowded] = np.inf
            near &= ~crowded[owners]
        self._owners, self._rows, self._scores = [owners[near]], [rows[near]], [scores[near]]
        self._kept, self._new = int(np.count_nonzero(near)), 0

    def result(self) -> Candidates:
        if not self._owners:
            return [np.empty(0, np.int64) for _ in self.least]
        self._prune()
        starts = np.searchsorted(self._owners[0], np.arange(len(self.least) + 1))
        return [
            None if crowded else self._rows[0][start:stop]
            for crowded, start, stop in zip(self.crowded, starts[:-1], starts[1:], strict=True)
        ]
