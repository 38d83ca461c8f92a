"""The search kernels in numpy, with the results of the compiled ones.

They answer while the compiled kernels are not loaded, in a few milliseconds a query. The
algorithms and the order of equal distances (by node) are those of `numba_hnsw.py`, and a test
compares them, so an answer does not depend on which kernel gave it. `scan_nodes` also serves
where numba is missing.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Labels, Positions, Vectors
from vecsearch.index.kernels.arguments import Codes, Graph, Request, Scratch
from vecsearch.index.kernels.numpy_scores import Wide, final_scores
from vecsearch.index.kernels.query_codes import encode_queries

VISITED = 1  # the lowest bit of a key
BLOCK_BYTES = 1024 * 1024  # of codes compared at a time
Nodes = npt.NDArray[np.int32]


def search(
    query: Vectors,
    codes: Codes,
    graph: Graph,
    request: Request,
    _scratch: Scratch | None,
    rows: Positions,
    scores: Wide,
) -> int:
    """The best rows for one query, as `numba_hnsw.search`."""
    code, size = _encode(query, codes), max(request.effort, request.depth)
    keys = np.array(_search_graph(code, codes, graph, size)[: request.depth], np.int64)
    found = request.row_map[_nodes(keys)].astype(np.int64)
    matching = found >= 0
    if len(request.mask):
        matching &= request.mask[found]
    if np.count_nonzero(matching[: request.candidate_window]) < request.enough:
        return -1
    outside = _near_outside(code, request, keys)
    return _rank(query, np.concatenate([found[matching], outside]), request, rows, scores)


def scan(
    query: Vectors,
    codes: Codes,
    nodes: Nodes,
    request: Request,
    _scratch: Scratch | None,
    rows: Positions,
    scores: Wide,
) -> int:
    """The best of listed nodes for one query, as `numba_hnsw.scan`."""
    code = _encode(query, codes)
    keys = _nearest_keys(code, codes.codes, nodes, request.depth)
    found = request.row_map[_nodes(keys)].astype(np.int64)
    outside = _near_outside(code, request, keys)
    return _rank(query, np.concatenate([found, outside]), request, rows, scores)


def search_many(
    queries: Vectors,
    codes: Codes,
    graph: Graph,
    request: Request,
    scratch: Scratch | None,
    rows: Positions,
    scores: Wide,
    counts: Positions,
) -> None:
    """`search` for each query."""
    for number, query in enumerate(queries):
        counts[number] = search(query, codes, graph, request, scratch, rows[number], scores[number])


def scan_many(
    queries: Vectors,
    codes: Codes,
    nodes: Nodes,
    request: Request,
    scratch: Scratch | None,
    rows: Positions,
    scores: Wide,
    counts: Positions,
) -> None:
    """`scan` for each query."""
    for number, query in enumerate(queries):
        counts[number] = scan(query, codes, nodes, request, scratch, rows[number], scores[number])


def scan_nodes(query: Vectors, codes: Codes, nodes: Nodes, count: int) -> Labels:
    """The `count` of some nodes whose codes are nearest to a query, nearest first."""
    return _nodes(_nearest_keys(_encode(query, codes), codes.codes, nodes, count))


def _near_outside(
    code: npt.NDArray[np.float64], request: Request, keys: npt.NDArray[np.int64]
) -> Positions:
    """Positions of the rows outside whose codes are as near as those of some nodes.

    keys: of the first `request.depth` nodes, nearest first; if they are fewer, all rows are near.
    """
    rows = request.outside_rows[request.outside_rows >= 0].astype(np.int64)
    if len(keys) < request.depth or not len(rows):
        return rows
    allowed = np.flatnonzero(request.outside_rows >= 0).astype(np.int32)
    near = _keys(code, request.outside_codes, allowed) >> 32 <= keys[-1] >> 32
    return np.asarray(rows[near])


def _nearest_keys(
    code: npt.NDArray[np.float64], codes: npt.NDArray[np.uint8], nodes: Nodes, count: int
) -> npt.NDArray[np.int64]:
    """The keys of the `count` of some nodes whose codes are nearest to a code, nearest first."""
    step = max(1, BLOCK_BYTES // codes.shape[1])
    best = np.empty(0, np.int64)
    for start in range(0, len(nodes), step):
        part = nodes[start : start + step]
        keys = _keys(code, codes, part)
        if len(best) == count:
            keys = keys[keys < best[-1]]
        best = np.concatenate([best, keys])
        if len(best) > count:
            best = np.partition(best, count - 1)[:count]
        best.sort()
    return best


def _nodes(keys: npt.NDArray[np.int64]) -> Labels:
    return (keys & 0xFFFFFFFF) >> 1


def _encode(query: Vectors, codes: Codes) -> npt.NDArray[np.float64]:
    encoded = encode_queries(
        query[None], codes.matrix, codes.offset, codes.rounding, codes.center_length
    )
    return np.asarray(encoded[0] + np.float64(128))


def _keys(
    code: npt.NDArray[np.float64], codes: npt.NDArray[np.uint8], nodes: Nodes
) -> npt.NDArray[np.int64]:
    """Distance and node of each node as one integer, as in a pool of the compiled kernels."""
    difference = codes[nodes] - code  # float64 holds the sums of squares exactly
    distance = np.einsum("ij,ij->i", difference, difference).astype(np.int64)
    return np.asarray(distance << 32 | nodes.astype(np.int64) << 1)


def _node(key: int) -> int:
    return (key & 0xFFFFFFFF) >> 1


def _neighbors(graph: Graph, node: int, level: int) -> list[int]:
    first = int(graph.offsets[node])
    links: list[int] = graph.links[
        first + graph.levels[level] : first + graph.levels[level + 1]
    ].tolist()
    return links[: links.index(-1)] if links and links[-1] < 0 else links


def _search_graph(
    code: npt.NDArray[np.float64], codes: Codes, graph: Graph, size: int
) -> list[int]:
    """The keys of the `size` nearest nodes that the search finds, nearest first."""
    pool: list[int] = _keys(code, codes.codes, np.array([graph.entry], np.int32)).tolist()
    for level in range(graph.top, 0, -1):
        moved = True
        while moved:
            nodes = _neighbors(graph, _node(pool[0]), level)
            keys = (
                _keys(code, codes.codes, np.array(nodes, np.int32))
                if nodes
                else np.empty(0, np.int64)
            )
            # Of neighbors at one distance the first one listed is taken, as in the compiled kernel.
            nearest = int(keys[np.argmin(keys >> 32)]) if len(keys) else pool[0]
            moved = nearest >> 32 < pool[0] >> 32
            if moved:
                pool = [nearest]
    seen, place = {_node(pool[0])}, 0
    while place < len(pool):
        node = _node(pool[place])
        pool[place] |= VISITED
        new = [other for other in _neighbors(graph, node, 0) if other not in seen]
        if new:
            seen.update(new)
            for key in _keys(code, codes.codes, np.array(new, np.int32)).tolist():
                if len(pool) < size or key < pool[-1]:
                    index = bisect_left(pool, key)
                    pool.insert(index, key)
                    place = min(place, index)
                    del pool[size:]
        while place < len(pool) and pool[place] & VISITED:
            place += 1
    return pool


def _rank(
    query: Vectors, candidates: Positions, request: Request, rows: Positions, scores: Wide
) -> int:
    """The best of the candidates and the unindexed rows, into `rows` and `scores`: how many."""
    listed = np.concatenate([candidates, request.unindexed])
    segments = np.searchsorted(request.starts, listed, "right") - 1
    size = 4 * len(query)
    addresses = request.addresses[segments] + (listed - request.starts[segments]) * size
    stored = b"".join(ctypes.string_at(address, size) for address in addresses.tolist())
    vectors = np.frombuffer(stored, np.float32).reshape(-1, len(query))
    found = final_scores(vectors, query, request.metric)
    order = np.lexsort((listed, -found))[: len(rows)]
    rows[: len(order)], scores[: len(order)] = listed[order], found[order]
    return len(order)
