"""Nodes linked into a FAISS graph of signed bytes, compiled: the insertion of Malkov and Yashunin (arXiv:1603.09320,
algorithms 1 and 4) over FAISS's own arrays, with the walk of `compiled.py`; it takes half the time that FAISS takes.

Two things differ. Nodes come in batches, as in Dobson et al. (ParlayANN, arXiv:2305.04359): all of a batch look for neighbours
in the graph as it was before, then all links are made, so that the result does not depend on the number of threads. And
nodes with the same code as the new one get at most a share of its links: else copies of one text link only to each other,
and a search that comes among them never gets out.

Imports numba, like `compiled.py`; `grow.py` is who calls it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

from vecsearch.faiss_index.compiled import (
    _OPTIONS,
    BLOCK,
    CHUNK,
    FULL,
    _clear,
    _descend,
    _fetch_row,
    _inline,
    _insert,
    _key,
    _node,
    _of,
    _squared_distance,
    _walk,
)

SAME_CODE = 4  # at most one link in so many goes to a node with the same code
LONGER = 264  # a neighbour is left out where another is nearer to it than 256 / LONGER of its distance to the node


@_inline
def _load(codes: Any, node: Any, out: Any) -> None:
    for column in range(out.shape[0]):
        out[column] = np.int16(codes[node, column])


@_inline
def _select(codes: Any, keys: Any, count: Any, node: Any, width: Any, out: Any, code: Any) -> Any:
    """Neighbours for a node from candidates, nearest first, into `out`: how many. Near ones that lie in different directions:
    none that is nearer to one taken before than to the node. code: scratch."""
    blocks, same = code.shape[0] // BLOCK, 0
    while same < count and keys[same] >> 32 == 0:
        same += 1
    kept = min(same, width // SAME_CODE)
    for place in range(kept):  # each copy links to others, not all to the same
        out[place] = _node(keys[(node + place) % same])
    for number in range(same, count):
        candidate, distance = _node(keys[number]), keys[number] >> 32
        _load(codes, candidate, code)
        diverse = True
        for place in range(kept):
            if np.int64(_squared_distance(codes, out[place], code, blocks)) * LONGER < distance * 256:
                diverse = False
                break
        if diverse:
            out[kept] = candidate
            kept += 1
            if kept == width:
                break
    return kept


def _find(
    codes: Any, links: Any, offsets: Any, levels: Any, level: Any, entry: Any, top: Any, nodes: Any, effort: Any,
    chosen: Any, counts: Any, code: Any, pool: Any, seen: Any, mark: Any, waiting: Any,
) -> Any:  # fmt: skip
    """Neighbours on a level for new nodes, which nothing links to yet, into the rows of `chosen` and their `counts`. The last
    mark used."""
    width: Any = levels[level + 1] - levels[level]
    used: Any = np.int64(mark)
    for number in range(nodes.shape[0]):
        used += 1
        if used > FULL:
            seen[:] = 0
            used = 1
        _load(codes, nodes[number], code)
        start = _descend(codes, links, offsets, levels, entry, top, level, code)
        found, _ = _walk(
            codes, links, offsets, levels[level], width, start, code, effort, pool, seen, np.uint8(used), waiting
        )  # fmt: skip
        counts[number] = _select(codes, pool[CHUNK:], found, nodes[number], width, chosen[number], code)
    return used


def _link(links: Any, offsets: Any, skip: Any, nodes: Any, chosen: Any, counts: Any) -> None:
    """Link new nodes to the neighbours chosen."""
    for number in range(nodes.shape[0]):
        first = offsets[nodes[number]] + skip
        for place in range(counts[number]):
            links[first + place] = chosen[number, place]


def _link_back(
    codes: Any, links: Any, offsets: Any, skip: Any, width: Any, targets: Any, firsts: Any, sources: Any,
    code: Any, pool: Any, chosen: Any,
) -> None:  # fmt: skip
    """Link each target back to its new nodes, sources[firsts[i] : firsts[i + 1]]; where there is no room, select anew."""
    blocks = code.shape[0] // BLOCK
    for number in range(targets.shape[0]):
        target, begin, end = targets[number], firsts[number], firsts[number + 1]
        first = offsets[target] + skip
        used = 0
        while used < width and links[first + used] >= 0:
            _fetch_row(codes, links[first + used], code.shape[0])
            used += 1
        if used + end - begin <= width:
            for place in range(begin, end):
                links[first + used + place - begin] = sources[place]
            continue
        _load(codes, target, code)
        most = min(used + end - begin, pool.shape[0] - 2 * CHUNK)
        last, taken = CHUNK + most - 1, CHUNK
        _clear(pool, most)
        for place in range(used + end - begin):
            other = links[first + place] if place < used else sources[begin + place - used]
            key = _key(_squared_distance(codes, other, code, blocks), other)
            if key < pool[last]:
                _insert(pool, taken, last, key)
                taken += 1
        kept = _select(codes, pool[CHUNK:], min(taken - CHUNK, most), target, width, chosen, code)
        for place in range(width):
            links[first + place] = chosen[place] if place < kept else -1


_GRAPH = _of(types.uint8, 2), _of(types.int32, changes=True), _of(types.int64)  # codes, links, offsets
_CODE, _POOL = _of(types.int16, changes=True), _of(types.int64, changes=True)
find = numba.njit(
    types.int64(
        *(*_GRAPH, _of(types.int64), types.int64, types.int64, types.int64, _of(types.int32), types.int64),
        *(_of(types.int32, 2, changes=True), _of(types.int64, changes=True), _CODE, _POOL),
        *(_of(types.uint8, changes=True), types.int64, _of(types.int32, changes=True)),
    ),
    **_OPTIONS,
)(_find)
link = numba.njit(
    types.void(*_GRAPH[1:], types.int64, _of(types.int32), _of(types.int32, 2), _of(types.int64)), **_OPTIONS
)(_link)  # fmt: skip
link_back = numba.njit(
    types.void(
        *(*_GRAPH, types.int64, types.int64, _of(types.int32), _of(types.int64), _of(types.int32)),
        *(_CODE, _POOL, _of(types.int32, changes=True)),
    ),
    **_OPTIONS,
)(_link_back)
