"""Codes of neighbors beside the nodes of a FAISS graph: made, written and mapped.

They follow from the graph's codes and links, and stand in its file behind FAISS's own part. What
they are is in `kernels/neighbor_codes.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.engines import ThreadEngine
from vecsearch.index.faiss.graph_search import NeighborCodes, codes_of, graph_of
from vecsearch.index.kernels.loader import LOADER, compiled_module
from vecsearch.index.kernels.neighbor_codes import (
    BLOCK_NODES,
    NUMPY,
    Maker,
    coded_bytes,
    write_codes,
)

ALIGNED = 64  # the codes begin at a multiple of so many bytes: a line of the processor's cache


def near_width(index: Any) -> int:
    """Bytes of the codes of a node's neighbors, in such an index."""
    return coded_bytes(int(index.storage.sa_code_size()), int(index.hnsw.nb_neighbors(0)) // 2)


def near_of(index: Any, threads: int = 1, maker: Maker | None = None) -> NeighborCodes:
    """Codes of the neighbors of all nodes, made from the codes and links of a graph.

    They are the same with any maker and number of threads. Besides them, the neighbors of some
    thousand nodes are in memory.

    Args:
        index: A graph for which `GraphSearch.fits` holds, with a multiple of 32 links.
        threads: Threads to use.
        maker: What computes them; None for compiled code where that is worth it.

    Returns:
        uint8 (nodes, bytes).
    """
    graph, codes, n = graph_of(index), codes_of(index), int(index.ntotal)
    if maker is None:
        loaded = LOADER.for_rows(n) or LOADER.module
        maker = NUMPY if loaded is None else compiled_module("numba_neighbor_maker").MAKER
    slots = np.arange(index.hnsw.nb_neighbors(0))
    near = np.empty((n, near_width(index)), np.uint8)

    def make(first: int) -> None:
        nodes = np.arange(first, min(first + BLOCK_NODES, n))
        links = graph.links[graph.offsets[nodes, None] + slots]
        write_codes(codes, nodes, links, near[first : first + BLOCK_NODES], maker)

    ThreadEngine(threads).map(make, range(0, n, BLOCK_NODES))
    return near


def append_near(path: Path, near: NeighborCodes) -> int:
    """Append codes to a file, and return where they begin in it."""
    with path.open("ab") as file:
        file.write(bytes(-file.tell() % ALIGNED))
        offset = file.tell()
        file.write(near.data)
    return offset


def map_near(path: Path, index: Any, offset: int, end: int) -> NeighborCodes:
    """The codes that a file holds, mapped: uint8 (nodes, bytes).

    Args:
        path: The file.
        index: FAISS's part of it, for which `require_coded` passed.
        offset: Where the codes begin,
        end: and where they have to end.

    Raises:
        ValueError: If they do not fit there.
    """
    shape = int(index.ntotal), near_width(index)
    if offset <= 0 or offset % ALIGNED or offset + shape[0] * shape[1] != end:
        raise ValueError("its codes of neighbors have another size")
    if not shape[0]:
        return np.empty(shape, np.uint8)
    return np.asarray(np.memmap(path, np.uint8, "r", offset=offset, shape=shape))
