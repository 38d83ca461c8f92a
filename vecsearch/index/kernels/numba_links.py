"""Compiled links for new nodes of a graph of signed bytes.

This is the insertion of Malkov and Yashunin (arXiv:1603.09320, algorithms 1 and 4) with two
changes. Nodes come in batches, as in ParlayANN (Dobson et al., arXiv:2305.04359): all nodes of a
batch look for neighbors in the graph as it was before the batch, then all links are made, so
that the result does not depend on the number of threads. And nodes with the same code as the new
one get at most a share of its links: otherwise copies of one text link only to each other, and a
search that meets them never leaves them.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

from vecsearch.index.kernels.arguments import CHUNK
from vecsearch.index.kernels.compiled import OPTIONS, array_type, entry_point
from vecsearch.index.kernels.intrinsics import BLOCK, prefetch_row, squared_distance
from vecsearch.index.kernels.numba_graph import (
    clear,
    inline,
    insert,
    key_of,
    node_of,
    search_graph,
)
from vecsearch.index.kernels.numba_types import BYTE_ROWS, GRAPH, INT32, INT64, SCRATCH

SAME_CODE = 4  # at most one link in so many goes to a node with the same code
# A candidate is left out if another neighbor is nearer to it than 256 / LONGER of its distance.
LONGER = 264


@inline
def _load(codes: Any, node: Any, out: Any) -> None:
    for column in range(out.shape[0]):
        out[column] = np.int16(codes[node, column])


@inline
def _select(codes: Any, keys: Any, count: Any, node: Any, width: Any, out: Any, code: Any) -> Any:
    """Choose neighbors for a node from candidates, nearest first, into `out`: how many.

    A candidate is left out if it is nearer to a neighbor chosen before than to the node, so that
    links lead in different directions. `code` is working memory.
    """
    blocks, same = code.shape[0] // BLOCK, 0
    while same < count and keys[same] >> 32 == 0:
        same += 1
    chosen = min(same, width // SAME_CODE)
    for place in range(chosen):  # each copy links to other copies, not all to the same ones
        out[place] = node_of(keys[(node + place) % same])
    for number in range(same, count):
        candidate, distance = node_of(keys[number]), keys[number] >> 32
        _load(codes, candidate, code)
        diverse = True
        for place in range(chosen):
            between = np.int64(squared_distance(codes, out[place], code, blocks))
            if between * LONGER < distance * 256:
                diverse = False
                break
        if diverse:
            out[chosen] = candidate
            chosen += 1
            if chosen == width:
                break
    return chosen


def _find(
    codes: Any,
    graph: Any,
    level: Any,
    nodes: Any,
    effort: Any,
    chosen: Any,
    counts: Any,
    scratch: Any,
) -> None:
    width: Any = graph.levels[level + 1] - graph.levels[level]
    for number in range(nodes.shape[0]):
        _load(codes, nodes[number], scratch.code)
        found, _ = search_graph(codes, graph, level, scratch.code, effort, scratch)
        counts[number] = _select(
            codes, scratch.pool[CHUNK:], found, nodes[number], width, chosen[number], scratch.code
        )


def _link(graph: Any, level: Any, nodes: Any, chosen: Any, counts: Any) -> None:
    for number in range(nodes.shape[0]):
        first = graph.offsets[nodes[number]] + graph.levels[level]
        for place in range(counts[number]):
            graph.links[first + place] = chosen[number, place]


def _link_back(
    codes: Any, graph: Any, level: Any, targets: Any, firsts: Any, sources: Any, scratch: Any
) -> None:
    links, code, pool, chosen = graph.links, scratch.code, scratch.pool, scratch.waiting
    width: Any = graph.levels[level + 1] - graph.levels[level]
    blocks = code.shape[0] // BLOCK
    for number in range(targets.shape[0]):
        target, begin, end = targets[number], firsts[number], firsts[number + 1]
        first = graph.offsets[target] + graph.levels[level]
        used = 0
        while used < width and links[first + used] >= 0:
            prefetch_row(codes, links[first + used], code.shape[0])
            used += 1
        if used + end - begin <= width:
            for place in range(begin, end):
                links[first + used + place - begin] = sources[place]
            continue
        _load(codes, target, code)
        size = min(used + end - begin, pool.shape[0] - 2 * CHUNK)
        last, taken = CHUNK + size - 1, CHUNK
        clear(pool, size)
        for place in range(used + end - begin):
            other = links[first + place] if place < used else sources[begin + place - used]
            key = key_of(squared_distance(codes, other, code, blocks), other)
            if key < pool[last]:
                insert(pool, taken, last, key)
                taken += 1
        count = min(taken - CHUNK, size)
        kept = _select(codes, pool[CHUNK:], count, target, width, chosen, code)
        for place in range(width):
            links[first + place] = chosen[place] if place < kept else -1


_CHOSEN = array_type(types.int32, 2)

find = entry_point(
    numba.njit(
        types.void(
            *(BYTE_ROWS, GRAPH, types.int64, INT32, types.int64, _CHOSEN, INT64, SCRATCH),
        ),
        **OPTIONS,
    )(_find)
)
"""find(codes, graph, level, nodes, effort, chosen, counts, scratch): neighbors for new nodes.

Nothing links to the nodes (int32) yet. Neighbors go into the rows of `chosen`, their number into
`counts`.
"""
link = entry_point(
    numba.njit(types.void(GRAPH, types.int64, INT32, _CHOSEN, INT64), **OPTIONS)(_link)
)
"""link(graph, level, nodes, chosen, counts): link new nodes to what `find` chose."""
link_back = entry_point(
    numba.njit(types.void(BYTE_ROWS, GRAPH, types.int64, INT32, INT64, INT32, SCRATCH), **OPTIONS)(
        _link_back
    )
)
"""link_back(codes, graph, level, targets, firsts, sources, scratch): link targets to new nodes.

The new nodes of target i are sources[firsts[i] : firsts[i + 1]]. A target without room for them
chooses its neighbors again.
"""
