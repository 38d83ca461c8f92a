"""Compiled: which nodes of a graph of signed bytes a search visits, and which are the nearest.

The graph and its codes are read where FAISS holds them. The search visits the nodes that FAISS's
search visits (Malkov and Yashunin, arXiv:1603.09320, algorithm 5); equal distances are ordered by
node. It is faster for two reasons: codes are prefetched while others are compared, which FAISS does
not do for codes of bytes; and the nearest nodes are one sorted array of integers, into which a
vector instruction inserts without branches.

A pool is an int64 array: CHUNK entries of -1, then a key for each of the nearest nodes, nearest
first, then EMPTY in unused entries. A key holds the distance (upper 32 bits), the node (31 bits)
and whether the node's neighbors were visited (1 bit).

`numpy_hnsw.py` holds the same algorithms in numpy. Change both together; a test compares them.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from vecsearch.index.kernels.arguments import CHUNK, FULL, SPARE
from vecsearch.index.kernels.intrinsics import (
    BLOCK,
    insert_into_chunk,
    prefetch_row,
    squared_distance,
)
from vecsearch.index.kernels.numba_neighbors import list_worth

EMPTY = np.int64(2**63 - 1)
FORGOTTEN = np.int64(-1)  # in place of how many nodes are spared: they were too many
VISITED = np.int64(1)

inline = numba.njit(nogil=True, boundscheck=False, fastmath=True)


@inline
def key_of(distance: Any, node: Any) -> Any:
    return np.int64(distance) << 32 | np.int64(node) << 1


@inline
def node_of(key: Any) -> Any:
    return (key & 0xFFFFFFFF) >> 1


@inline
def clear(pool: Any, size: Any) -> None:
    """Empty a pool for the nearest `size` nodes."""
    pool[:CHUNK] = -1
    pool[CHUNK : 2 * CHUNK + size] = EMPTY


@inline
def insert(pool: Any, used: Any, last: Any, key: Any) -> Any:
    """Insert a key into a pool; entries before `used` are taken, the last entry is `last`.

    Returns an entry at or before the key's.
    """
    place = min(used, last) // CHUNK * CHUNK
    insert_into_chunk(pool, place, key)
    while pool[place - 1] > key:
        place -= CHUNK
        insert_into_chunk(pool, place, key)
    return place


@inline
def _next_unvisited(pool: Any, place: Any, end: Any) -> Any:
    """The first entry from `place` on whose neighbors were not visited; `end` if there is none."""
    while place < end and pool[place] & VISITED:
        place += 1
    return place


@inline
def next_mark(scratch: Any) -> Any:
    """A mark that no node has; old marks are cleared when all were used."""
    mark = scratch.mark[0] + 1
    if mark > FULL:
        scratch.seen[:] = 0
        mark = 1
    scratch.mark[0] = mark
    return np.uint8(mark)


# -- the graph --


@inline
def _descend(codes: Any, graph: Any, bottom: Any, query: Any) -> Any:
    """From the entry point to the level above `bottom`, each time to the nearest neighbor."""
    blocks = query.shape[0] // BLOCK
    node, nearest = graph.entry, squared_distance(codes, graph.entry, query, blocks)
    for level in range(graph.top, bottom, -1):
        moved = True
        while moved:
            moved = False
            first = graph.offsets[node] + graph.levels[level]
            last = graph.offsets[node] + graph.levels[level + 1]
            for place in range(first, last):
                if graph.links[place] < 0:
                    break
                prefetch_row(codes, graph.links[place], query.shape[0])
            for place in range(first, last):
                other = graph.links[place]
                if other < 0:
                    break
                distance = squared_distance(codes, other, query, blocks)
                if distance < nearest:
                    node, nearest, moved = other, distance, True
    return node


@inline
def begin(codes: Any, graph: Any, level: Any, query: Any, size: Any, scratch: Any) -> Any:
    """Empty the pool for the nearest `size` nodes, but for the one nearest from above."""
    start = _descend(codes, graph, level, query)
    clear(scratch.pool, size)
    distance = squared_distance(codes, start, query, query.shape[0] // BLOCK)
    scratch.pool[CHUNK] = key_of(distance, start)
    scratch.seen[start] = next_mark(scratch)


@inline
def extend(
    codes: Any,
    graph: Any,
    level: Any,
    query: Any,
    size: Any,
    used: Any,
    spared: Any,
    scratch: Any,
) -> Any:
    """Search until the neighbors of all nodes in a pool of `size` are visited.

    Args:
        used: The end of the used entries.
        spared: How many nodes without a place in the pool are in `scratch.spare`; -1 if they are
            not to be remembered.

    Returns:
        The end of the used entries, no more than the pool's; `spared`; and how many nodes were
        compared.
    """
    links, pool, seen, waiting = graph.links, scratch.pool, scratch.seen, scratch.waiting
    skip, width = graph.levels[level], graph.levels[level + 1] - graph.levels[level]
    mark, blocks, compared = np.uint8(scratch.mark[0]), query.shape[0] // BLOCK, 0
    end, spare = CHUNK + size, scratch.spare
    coded = level == 0 and graph.near.shape[0] > 0
    place = _next_unvisited(pool, CHUNK, min(used, end))
    while place < min(used, end):
        first = graph.offsets[node_of(pool[place])] + skip
        pool[place] |= VISITED
        new = 0
        if coded:
            key, farthest = pool[place], pool[end - 1] >> 32
            new = list_worth(codes, graph, key, farthest, mark, scratch)
        else:
            for link in range(first, first + width):
                other = links[link]
                if other < 0:
                    break
                if seen[other] != mark:
                    seen[other] = mark
                    waiting[new] = other
                    new += 1
                    prefetch_row(codes, other, query.shape[0])
        place += 1
        compared += new
        remember = spared >= 0
        if remember and spared + new > SPARE:
            spared = FORGOTTEN
            remember = False
        for number in range(new):
            other = waiting[number]
            key = key_of(squared_distance(codes, other, query, blocks), other)
            last = pool[end - 1]
            if remember:
                spare[spared] = max(key, last)
                spared += max(key, last) != EMPTY
            if key < last:
                place = min(place, insert(pool, used, end - 1, key))
                used += 1
        taken = min(used, end)
        place = ahead = _next_unvisited(pool, place, taken)
        for _ in range(2):
            if ahead < taken:
                prefetch_row(links, graph.offsets[node_of(pool[ahead])] + skip, 4 * width)
                if coded:
                    prefetch_row(graph.near, node_of(pool[ahead]), graph.near.shape[1])
                ahead = _next_unvisited(pool, ahead + 1, taken)
    return min(used, end), spared, compared


@inline
def widen(size: Any, used: Any, spared: Any, scratch: Any) -> Any:
    """Make the pool hold `size` nodes, with those that had no place: `used` and `spared`.

    A search that goes on so finds what it would have found with the larger pool from the start.
    """
    pool, spare, end, left = scratch.pool, scratch.spare, CHUNK + size, 0
    pool[used : end + CHUNK] = EMPTY
    for number in range(spared):
        key, last = spare[number], pool[end - 1]
        spare[left] = max(key, last)
        left += max(key, last) != EMPTY
        if key < last:
            insert(pool, used, end - 1, key)
            used += 1
    return min(used, end), left


@inline
def search_graph(codes: Any, graph: Any, level: Any, query: Any, size: Any, scratch: Any) -> Any:
    """Fill the pool with the nearest nodes of a level: how many, and how many were compared.

    codes: uint8 (n, bytes).
    """
    begin(codes, graph, level, query, size, scratch)
    used, _, compared = extend(codes, graph, level, query, size, CHUNK + 1, FORGOTTEN, scratch)
    return used - CHUNK, compared + 1
