"""Rows added to a FAISS graph of signed bytes by compiled code, on several threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.common.engines import parts_of
from vecsearch.index.faiss.graph_search import codes_of, graph_of, is_byte_graph
from vecsearch.index.kernels.arguments import Scratch, new_scratch
from vecsearch.index.kernels.loader import LOADER, compiled_module

# Nodes of a batch do not see each other. So a batch is at most this share of the nodes in the
# graph.
BATCH_SHARE = 0.02
LARGEST_BATCH = 200
POOL = 2048  # candidates for the links of one node at most
NODES_A_THREAD = 8  # of a batch at least, for a thread to be worth its start
Nodes = npt.NDArray[np.int32]
Levels = npt.NDArray[np.int32]


def growing(index: Any, rows: int, *, seed: int, threads: int) -> Any:
    """What adds rows to a FAISS index: an object with `add` and `ntotal`, often the index itself.

    Args:
        index: The FAISS index.
        rows: How many rows it is to have in the end; compiled code links the rows of a large one.
        seed: Decides the order in which nodes are linked.
        threads: Threads to link nodes with.
    """
    if not is_byte_graph(index) or LOADER.for_rows(rows) is None:
        return index
    return GrowingGraph(index, compiled_module("numba_links"), seed=seed, threads=threads)


class GrowingGraph:
    """An IndexHNSWSQ of signed bytes whose `add` makes links as FAISS does, in half the time.

    The result depends on the rows, how they are divided among calls, the seed and FAISS's random
    levels; not on the number of threads.
    """

    def __init__(self, index: Any, kernels: ModuleType, *, seed: int, threads: int) -> None:
        """index: one for which `is_byte_graph` holds, possibly empty. kernels: `numba_links`."""
        self.index = index
        self._kernels = kernels
        self._seed = seed
        self._threads = max(1, threads)

    @property
    def ntotal(self) -> int:
        return int(self.index.ntotal)

    def add(self, rows: Vectors) -> None:
        """Add rows, float32 (n, dim) of whole numbers from -128 to 127."""
        first = self.ntotal
        storage = faiss.downcast_index(self.index.storage)
        storage.add(rows)
        self.index.ntotal = storage.ntotal
        hnsw = self.index.hnsw
        hnsw.prepare_level_tab(len(rows))
        levels = faiss.rev_swig_ptr(hnsw.levels.data(), self.ntotal)[first:] - 1
        order = np.random.default_rng([self._seed, first]).permutation(len(rows))
        # Nodes of the higher levels come first: they lead the search to the others.
        order = order[np.argsort(-levels[order], kind="stable")]
        with ThreadPoolExecutor(self._threads) as pool:
            linker = _Linker(self.index, self._kernels, pool, self._threads)
            done = 0
            while done < len(order):
                size = int(min(max(1, BATCH_SHARE * (first + done)), LARGEST_BATCH))
                batch = order[done : done + size]
                higher = np.flatnonzero(levels[batch] > hnsw.max_level)
                if len(higher):  # the first node of a level comes alone, so that later ones find it
                    batch = batch[: max(1, int(higher[0]))]
                linker.insert((first + batch).astype(np.int32), levels[batch])
                done += len(batch)


class _Linker:
    """Links nodes of a graph to which no row is added meanwhile."""

    def __init__(
        self, index: Any, kernels: ModuleType, pool: ThreadPoolExecutor, threads: int
    ) -> None:
        self._kernels = kernels
        self._hnsw = index.hnsw
        self._pool = pool
        self._codes, self._graph = codes_of(index), graph_of(index)
        self._effort = int(self._hnsw.efConstruction)
        size, width = max(self._effort, POOL), int(self._hnsw.nb_neighbors(0))
        self._scratch = [new_scratch(self._codes, size, width) for _ in range(threads)]

    def insert(self, nodes: Nodes, levels: Levels) -> None:
        """Link new nodes on each of their levels; one above all others becomes the entry point."""
        top = self._graph.top
        # Upwards, so that the search from above does not meet a new node.
        for level in range(min(top, int(levels.max())) + 1):
            self._insert_on(level, nodes[levels >= level])
        if levels[0] > top:
            self._graph = self._graph._replace(entry=int(nodes[0]), top=int(levels[0]))
            self._hnsw.entry_point, self._hnsw.max_level = self._graph.entry, self._graph.top

    def _insert_on(self, level: int, nodes: Nodes) -> None:
        graph = self._graph
        width = int(graph.levels[level + 1] - graph.levels[level])
        chosen, counts = np.empty((len(nodes), width), np.int32), np.empty(len(nodes), np.int64)

        def find(part: slice, scratch: Scratch) -> None:
            found = chosen[part], counts[part]
            self._kernels.find(
                self._codes, graph, level, nodes[part], self._effort, *found, scratch
            )

        self._run(find, len(nodes))
        self._kernels.link(graph, level, nodes, chosen, counts)
        target, source = chosen[np.arange(width) < counts[:, None]], np.repeat(nodes, counts)
        order = np.argsort(target, kind="stable")
        target, sources = target[order], source[order]
        first = np.flatnonzero(np.append(True, target[1:] != target[:-1])[: len(target)])
        targets, firsts = target[first], np.append(first, len(target))

        def link_back(part: slice, scratch: Scratch) -> None:
            ends = firsts[part.start : part.stop + 1]
            self._kernels.link_back(
                self._codes, graph, level, targets[part], ends, sources, scratch
            )

        self._run(link_back, len(targets))

    def _run(self, work: Callable[[slice, Scratch], None], count: int) -> None:
        """Do the work on all threads, each with a part of the `count` items."""
        parts = parts_of(count, len(self._scratch), NODES_A_THREAD)
        if len(parts) == 1:
            work(parts[0], self._scratch[0])
        else:
            list(self._pool.map(work, parts, self._scratch))
