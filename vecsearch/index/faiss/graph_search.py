"""When to search by the compiled walk (`compiled.py`), and what it needs of an index.

It is used where numba (the extra `fast`) is installed and the index is a graph of signed bytes. Loading it takes about half a
second, the first time on a machine some seconds more, for it is compiled then; so it is loaded in a thread of its own, once a
process has shown that it asks many queries. Until then, and everywhere else, FAISS searches.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Positions, Scores, StoredVectors, Vectors
from vecsearch.index.faiss.graph import links_of
from vecsearch.index.faiss.projection import Projection

QUERIES_A_THREAD = 16  # of a batch at least, for a thread to be worth its start
T = TypeVar("T")
RowMap = npt.NDArray[np.int32] | npt.NDArray[np.int64] | None


def is_byte_graph(index: Any) -> bool:
    """Whether an index is a graph of signed bytes, in whole blocks, compared by Euclidean distance."""
    if not isinstance(index, faiss.IndexHNSWSQ) or index.metric_type != faiss.METRIC_L2:
        return False
    storage = faiss.downcast_index(index.storage)
    return bool(
        storage.sq.qtype == faiss.ScalarQuantizer.QT_8bit_direct_signed
        and storage.code_size % 32 == 0
    )


def arrays_of(index: Any) -> tuple[Any, Any, Any, Any]:
    """Of such an index: codes, uint8 (n, bytes a code), links, where those of a node begin, and those of a level in a node.
    All but the last are views of FAISS's memory."""
    storage, graph = faiss.downcast_index(index.storage), index.hnsw
    codes = faiss.rev_swig_ptr(storage.codes.data(), index.ntotal * storage.code_size).reshape(
        -1, storage.code_size
    )
    return (
        codes,
        *links_of(graph),
        faiss.vector_to_array(graph.cum_nneighbor_per_level).astype(np.int64),
    )


NO_MASK = np.empty(0, bool)


class Request(NamedTuple):
    """What a compiled search is told beside its query, in the order in which it takes it.

    places: what `FaissIndex.places` gave. mask: which positions may be found, bool; NO_MASK for all. fresh: positions that are
    scored besides, int64. starts, addresses: what `table_of` gave. euclidean: the metric; else inner product. effort, depth: as
    for `FaissIndex.candidates`. reach, enough: a search gives up when fewer than `enough` of the first `reach` match.
    """

    row_map: Any
    mask: npt.NDArray[np.bool_]
    unindexed: Positions
    starts: Positions
    addresses: Positions
    euclidean: bool
    effort: int
    depth: int
    candidate_window: int
    enough: int

    @property
    def most(self) -> int:
        """Nodes that are held at a time."""
        return max(self.effort, self.depth)


class GraphSearch:
    """The compiled search over one index. Holds views of FAISS's memory: `index` must outlive it. Thread-safe."""

    def __init__(self, index: Any, projection: Projection) -> None:
        """index: an IndexHNSWSQ for which `fits` is true."""
        assert projection.matrix is not None
        codes, *graph = arrays_of(index)
        self._index = index
        self._codes = projection.matrix, projection.offset, codes
        self._graph = *graph, int(index.hnsw.entry_point), int(index.hnsw.max_level)
        self._width = int(index.hnsw.nb_neighbors(0))
        self._threads = threading.local()

    @staticmethod
    def fits(index: Any) -> bool:
        """Whether an index can be searched by the compiled walk: a graph of signed bytes, with rows in it."""
        return is_byte_graph(index) and index.ntotal > 0

    def search(
        self, compiled: ModuleType, query: Vectors, k: int, request: Request
    ) -> tuple[Positions, Scores] | None:
        """The k best rows for one query, float32 (dim,), best first, with their true scores: int64 and float32, at most k.

        None when fewer than `request.enough` of the first `request.reach` candidates match.
        """
        scratch = self._room_for(compiled, request.most)
        scratch.mark += 1
        if scratch.mark > compiled.FULL:
            scratch.seen[:] = 0
            scratch.mark = 1
        rows, scores = np.empty(k, np.int64), np.empty(k, np.float32)
        found = compiled.search(
            query,
            *self._codes,
            *self._graph,
            *request,
            scratch.code,
            scratch.pool,
            scratch.seen,
            scratch.mark,
            scratch.waiting,
            rows,
            scores,
        )
        if found < 0:
            return None
        return (rows, scores) if found == k else (rows[:found], scores[:found])

    def search_many(
        self, compiled: ModuleType, queries: Vectors, k: int, request: Request, threads: int
    ) -> tuple[Positions, Scores, Positions]:
        """`search` for many queries, float32 (nq, dim), on several threads: rows int64 and scores float32, (nq, k), and how
        many of them were found for each query, -1 where `search` gives None."""
        rows, scores = (
            np.full((len(queries), k), -1, np.int64),
            np.full((len(queries), k), -np.inf, np.float32),
        )
        counts = np.empty(len(queries), np.int64)

        def run(part: slice) -> None:
            scratch = self._room_for(compiled, request.most)
            scratch.mark = compiled.search_many(
                queries[part],
                *self._codes,
                *self._graph,
                *request,
                scratch.code,
                scratch.pool,
                scratch.seen,
                scratch.mark,
                scratch.waiting,
                rows[part],
                scores[part],
                counts[part],
            )

        _in_parts(run, len(queries), threads)
        return rows, scores, counts

    def scan(
        self,
        compiled: ModuleType,
        query: Vectors,
        k: int,
        listed: npt.NDArray[np.int32],
        request: Request,
    ) -> tuple[Positions, Scores]:
        """The k best of listed FAISS rows, int32, all of which have a place: codes choose `request.depth` of them, which the
        vectors rank. The answer is that of `search`."""
        scratch = self._room_for(compiled, request.depth)
        rows, scores = np.empty(k, np.int64), np.empty(k, np.float32)
        found = compiled.scan(
            query, *self._codes, listed, *request, scratch.code, scratch.pool, rows, scores
        )
        return (rows, scores) if found == k else (rows[:found], scores[:found])

    def candidates(
        self,
        compiled: ModuleType,
        queries: Vectors,
        depth: int,
        effort: int,
        threads: int,
        row_map: RowMap,
    ) -> tuple[Positions, int]:
        """What the walk finds before re-scoring, as `FaissIndex.candidates`: places, int64 (nq, depth), nearest first, padded
        with -1; and how many nodes were compared in all."""
        rows = np.empty((len(queries), depth), np.int64)

        def run(part: slice) -> int:
            scratch = self._room_for(compiled, max(effort, depth))
            scratch.mark = compiled.FULL  # of this thread's next search: wipe
            return int(
                compiled.propose(
                    queries[part],
                    *self._codes,
                    *self._graph,
                    row_map,
                    effort,
                    scratch.code,
                    scratch.pool,
                    scratch.seen,
                    scratch.waiting,
                    rows[part],
                )
            )

        return rows, sum(_in_parts(run, len(queries), threads))

    def _room_for(self, compiled: ModuleType, most: int) -> Scratch:
        """This thread's scratch, with a pool of at least `most` places."""
        scratch: Scratch | None = getattr(self._threads, "scratch", None)
        if scratch is None or scratch.most < most:
            scratch = self._threads.scratch = Scratch(compiled, self._codes[-1], most, self._width)
        return scratch


class Scratch:
    """What one thread of compiled code needs: a query's code, the pool, the marks of visited nodes and the last one used, and
    room for the neighbours of a node."""

    def __init__(
        self, compiled: ModuleType, codes: npt.NDArray[np.uint8], most: int, width: int
    ) -> None:
        """most: nodes in the pool; width: links of a node on a level, at most."""
        self.most = most
        self.code = np.empty(codes.shape[1], np.int16)
        self.pool = np.empty(most + 2 * compiled.CHUNK, np.int64)
        self.waiting = np.empty(width, np.int32)
        self.seen, self.mark = np.zeros(len(codes), np.uint8), 0


def parts_of(count: int, threads: int, least: int) -> list[slice]:
    """Consecutive parts of `count` items, one a thread, but of at least `least` items."""
    threads = max(1, min(threads, count // least))
    edges = np.linspace(0, count, threads + 1).astype(int).tolist()
    return [slice(first, last) for first, last in itertools.pairwise(edges)]


def _in_parts(run: Callable[[slice], T], count: int, threads: int) -> list[T]:
    """Run over parts of `count` queries, each on a thread of its own, and what each gave."""
    parts = parts_of(count, threads, QUERIES_A_THREAD)
    if len(parts) == 1:
        return [run(parts[0])]
    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(run, parts))


def table_of(vectors: list[StoredVectors], starts: Positions) -> tuple[Positions, Positions] | None:
    """First position and address of each segment's vectors; None where some are not float32 in one piece."""
    if not vectors or any(
        part.dtype != np.float32 or not part.flags.c_contiguous for part in vectors
    ):
        return None
    return np.ascontiguousarray(starts[: len(vectors)]), np.array(
        [part.ctypes.data for part in vectors], np.int64
    )
