"""Rows added to a FAISS graph of signed bytes by `compiled.py`, in batches and on several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.index.faiss.graph_search import Scratch, arrays_of, is_byte_graph, parts_of
from vecsearch.index.kernels.loader import LOADER

BATCH_SHARE = 0.02  # nodes of a batch do not see each other: of those there are, and of a call's, at most this share
LARGEST_BATCH = 200
POOL = 2048  # candidates for the links of one node at most
NODES_A_THREAD = 8  # of a batch at least, for a thread to be worth its start
Nodes = npt.NDArray[np.int32]


def growing(index: Any, rows: int, *, seed: int, threads: int) -> Any:
    """What adds to a FAISS index that is to have so many rows: something with `add` and `ntotal`, mostly the index itself."""
    kernels = LOADER.for_rows(rows) if is_byte_graph(index) else None
    return index if kernels is None else GrowingGraph(index, kernels, seed=seed, threads=threads)


class GrowingGraph:
    """An IndexHNSWSQ of signed bytes, or an empty one, with an `add` that makes links as FAISS does, in half the time.

    The result depends on the rows, the calls they come in, the seed and FAISS's random levels; not on the threads.
    """

    def __init__(self, index: Any, kernels: ModuleType, *, seed: int, threads: int) -> None:
        """index: one for which `is_byte_graph` holds; kernels: `compiled.py`."""
        self.index = index
        self._kernels = kernels
        self._seed = seed
        self._threads = max(1, threads)

    @property
    def ntotal(self) -> int:
        return int(self.index.ntotal)

    def add(self, rows: Vectors) -> None:
        """rows: float32 (n, dim) of whole numbers from -128 to 127."""
        first = self.ntotal
        storage = faiss.downcast_index(self.index.storage)
        storage.add(rows)
        self.index.ntotal = storage.ntotal
        graph = self.index.hnsw
        graph.prepare_level_tab(len(rows))
        levels = faiss.rev_swig_ptr(graph.levels.data(), self.ntotal)[first:] - 1
        order = np.random.default_rng([self._seed, first]).permutation(len(rows))
        order = order[
            np.argsort(-levels[order], kind="stable")
        ]  # the higher levels lead to what comes later
        with ThreadPoolExecutor(self._threads) as pool:
            linking = _Linking(self.index, self._kernels, pool, self._threads)
            at = 0
            while at < len(order):
                size = int(min(max(1, BATCH_SHARE * (first + at)), LARGEST_BATCH))
                some = order[at : at + size]
                higher = np.flatnonzero(levels[some] > graph.max_level)
                if len(
                    higher
                ):  # the first node of a level comes alone: those after it find it there
                    some = some[: max(1, int(higher[0]))]
                linking.insert((first + some).astype(np.int32), levels[some])
                at += len(some)


class _Linking:
    """The arrays of a graph while nothing is added to it, and what threads need to link its nodes."""

    def __init__(
        self, index: Any, kernels: ModuleType, pool: ThreadPoolExecutor, threads: int
    ) -> None:
        self._kernels = kernels
        self._graph = index.hnsw
        self._pool = pool
        self._codes, self._links, self._offsets, self._levels = arrays_of(index)
        self._effort = int(self._graph.efConstruction)
        most, width = max(self._effort, POOL), int(self._graph.nb_neighbors(0))
        self._scratch = [Scratch(kernels, self._codes, most, width) for _ in range(threads)]

    def insert(self, nodes: Nodes, levels: npt.NDArray[np.int32]) -> None:
        """Link new nodes into each of their levels that there is; a node above them all becomes the entry point."""
        graph = self._graph
        for level in range(
            min(graph.max_level, int(levels.max())) + 1
        ):  # upwards: the way down must not meet a new node
            self._insert_into(level, nodes[levels >= level])
        if levels[0] > graph.max_level:
            graph.entry_point, graph.max_level = int(nodes[0]), int(levels[0])

    def _insert_into(self, level: int, nodes: Nodes) -> None:
        skip = int(self._levels[level])
        width = int(self._levels[level + 1]) - skip
        chosen, counts = np.empty((len(nodes), width), np.int32), np.empty(len(nodes), np.int64)

        def find(part: slice, scratch: Scratch) -> None:
            scratch.mark = self._kernels.find(
                self._codes,
                self._links,
                self._offsets,
                self._levels,
                level,
                self._graph.entry_point,
                self._graph.max_level,
                nodes[part],
                self._effort,
                chosen[part],
                counts[part],
                scratch.code,
                scratch.pool,
                scratch.seen,
                scratch.mark,
                scratch.waiting,
            )

        def link_back(part: slice, scratch: Scratch) -> None:
            self._kernels.link_back(
                self._codes,
                self._links,
                self._offsets,
                skip,
                width,
                targets[part],
                firsts[part.start : part.stop + 1],
                sources,
                scratch.code,
                scratch.pool,
                scratch.waiting,
            )

        self._run(find, len(nodes))
        self._kernels.link(self._links, self._offsets, skip, nodes, chosen, counts)
        target, source = chosen[np.arange(width) < counts[:, None]], np.repeat(nodes, counts)
        order = np.argsort(target, kind="stable")
        target, sources = target[order], source[order]
        first = np.flatnonzero(np.append(True, target[1:] != target[:-1])[: len(target)])
        targets, firsts = target[first], np.append(first, len(target))
        self._run(link_back, len(targets))

    def _run(self, work: Any, count: int) -> None:
        """Do the work on all threads, each with a part of the `count` items."""
        parts = parts_of(count, len(self._scratch), NODES_A_THREAD)
        if len(parts) == 1:
            work(parts[0], self._scratch[0])
        else:
            list(self._pool.map(work, parts, self._scratch))
