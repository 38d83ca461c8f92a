"""What is done to a FAISS graph beyond FAISS: the order rows enter it in, and links back to nodes that are hard to reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

BLOCK = 10_000  # rows added to FAISS at a time, however they arrive: a graph depends on how its `add` calls are cut
WEAK = 16  # nodes with fewer links pointing to them get links back from the nodes they point to
ROWS_A_KEY = 8  # rows that share a place in the order


def add_in_order(
    index: Any, codes: npt.NDArray[np.int8], progress: Callable[[int], None]
) -> npt.NDArray[np.int32]:
    """Add rows so that near ones are near in memory: sorted by the sides of the medians of the leading components.

    The distance computations of a graph search wait for memory more than for arithmetic; this order is worth about a tenth of
    the time of a search and as much of the build. Returns the label of each FAISS row, and a last -1.
    """
    n = len(codes)
    key = np.zeros(n, np.int64)
    for component in codes.T[: (n // ROWS_A_KEY).bit_length()]:
        key = key * 2 + (component > np.median(component))
    order = np.argsort(key, kind="stable").astype(np.int32)
    for at in range(0, n, BLOCK):
        index.add(codes[order[at : at + BLOCK]].astype(np.float32))
        progress(min(n - at, BLOCK))
    return np.append(order, np.int32(-1))


def links_of(hnsw: Any) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The links of all nodes, and where those of each begin: views of FAISS's memory, which moves when rows are added."""
    links = faiss.rev_swig_ptr(hnsw.neighbors.data(), hnsw.neighbors.size())
    return links, faiss.rev_swig_ptr(hnsw.offsets.data(), hnsw.offsets.size()).view(np.int64)


def link_back(hnsw: Any, n: int) -> None:
    """Give nodes that few others point to more links from the nodes they point to, where those have room.

    Pruning for diversity leaves some nodes, often near duplicates, with next to no way in: no effort finds them. In place, on
    the lowest level.
    """
    width = hnsw.nb_neighbors(0)
    links, offsets = links_of(hnsw)
    slots = np.arange(width)
    incoming = np.zeros(n, np.int64)
    for at in range(0, n, BLOCK):
        level = links[offsets[at : min(at + BLOCK, n), None] + slots]
        incoming += np.bincount(level[level >= 0], minlength=n)
    weak = np.flatnonzero(incoming < WEAK)
    for at in range(0, len(weak), BLOCK):
        nodes = weak[at : at + BLOCK]
        targets = links[offsets[nodes, None] + slots]
        node, target = np.repeat(nodes, width), targets.ravel().astype(np.int64)
        there = links[offsets[np.maximum(target, 0), None] + slots]
        used = (there >= 0).sum(axis=1)
        wanted = (target >= 0) & (used < width) & ~(there == node[:, None]).any(axis=1)
        node, target, used = node[wanted], target[wanted], used[wanted]
        first = np.lexsort(
            (incoming[node], target)
        )  # the weakest nodes come first where room is short
        node, target, used = node[first], target[first], used[first]
        slot = used + np.arange(len(target)) - np.searchsorted(target, target)
        fits = slot < width
        links[offsets[target[fits]] + slot[fits]] = node[fits]
