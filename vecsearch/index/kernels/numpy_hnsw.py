"""The search kernels in numpy, with the results of the compiled ones.

They answer while the compiled kernels are not loaded, in a few milliseconds a query. The
algorithms and the order of equal distances (by node) are those of `numba_hnsw.py` and
`numba_graph.py`, and a test compares them, so an answer does not depend on which kernel gave it.
`scan` also serves where numba is missing.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_left
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.index.kernels import neighbor_codes
from vecsearch.index.kernels.arguments import (
    EUCLIDEAN,
    INNER_PRODUCT,
    TOO_FEW,
    UNSURE,
    Codes,
    Graph,
    Request,
    Scratch,
)
from vecsearch.index.kernels.contrast import spread_at_large
from vecsearch.index.kernels.misses import LEAST, crowding, expected_misses, next_depth
from vecsearch.index.kernels.numpy_scores import Wide, final_scores
from vecsearch.index.kernels.query_codes import encode_queries
from vecsearch.index.kernels.stages import next_stage, stage_after

VISITED = 1  # the lowest bit of a key
NO_LIMIT = 2**63 - 1  # the key of an unused place
FAR_AWAY = NO_LIMIT >> 32  # its distance
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
    code, efforts = encode(query, codes), request.effort.sizes.tolist()
    search = _GraphSearch(code, codes, graph, efforts[-1])
    stage, contrast, at_large = 0, np.inf, scores_at_large(query, code, codes, request.metric)
    while stage < len(efforts):
        keys = search.extend(efforts[stage])
        rows_left = _positions(keys[request.effort.rank - 1 :], request)
        rows_left = rows_left[rows_left >= 0]
        score, following = np.inf, next_stage(stage, efforts)
        if at_large is not None and len(rows_left):
            score = _scores_at(query, rows_left[:1], request)[0]
            contrast = (score - at_large[0]) / at_large[1]
        after = int(stage_after(stage, following, score, contrast, request.effort))
        if after < 0:
            return after
        if after > stage:
            stage = after
            continue
        size = efforts[stage]
        if np.isinf(request.effort.misses):
            size, keys = request.depth, keys[: request.depth]
        complete = len(keys) == len(codes.codes)
        limit = keys[-1] >> 32 if len(keys) == size and not complete else np.inf
        found, distances, early = _matching(keys, request)
        if early < request.enough:
            return TOO_FEW
        outside = near_outside(code, limit, request.outside_codes, request.outside_rows)
        count = _rank(query, found, distances, outside, complete, request, rows, scores)
        if count != UNSURE:
            return count
        stage = following
    return UNSURE


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
    code = encode(query, codes)
    keys = _nearest_keys(code, codes.codes, nodes, int(request.effort.sizes[-1]))
    complete = len(keys) == len(nodes)
    limit = np.inf if complete else int(keys[-1]) >> 32
    found, distances, _ = _matching(keys.tolist(), request)
    outside = near_outside(code, limit, request.outside_codes, request.outside_rows)
    return _rank(query, found, distances, outside, complete, request, rows, scores)


def scores_at_large(
    query: Vectors, code: npt.NDArray[np.float64], codes: Codes, metric: int
) -> tuple[float, float] | None:
    """Mean and standard deviation of a query's scores with all rows, as `numba_scores.at_large`.

    None if nothing is known of the rows.
    """
    moments = codes.moments
    if not len(moments.mean):
        return None
    if metric == EUCLIDEAN:
        square = -float(final_scores(moments.mean[None], query, EUCLIDEAN)[0])
        mean = 0.0 - (square + moments.own_mean)
    else:
        square = float(final_scores(query[None], query, INNER_PRODUCT)[0])
        mean = float(final_scores(moments.mean[None], query, INNER_PRODUCT)[0])
    return mean, float(spread_at_large(code.tolist(), moments, square, metric))


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


def propose(
    queries: Vectors,
    codes: Codes,
    graph: Graph,
    row_map: npt.NDArray[np.integer],
    effort: int,
    scratch: Scratch | None,
    rows: Positions,
    distances: Positions,
) -> int:
    """Mere candidates; returns how many nodes were compared. `scratch` is not used."""
    depth, compared = rows.shape[1], 0
    size = max(effort, depth)
    for number, query in enumerate(queries):
        search = _GraphSearch(encode(query, codes), codes, graph, size)
        keys = np.array(search.extend(size)[:depth], np.int64)
        compared += search.compared
        rows[number], distances[number] = -1, FAR_AWAY
        rows[number, : len(keys)] = row_map[(keys & 0xFFFFFFFF) >> 1]
        distances[number, : len(keys)] = keys >> 32
    return compared


def near_outside(
    code: npt.NDArray[np.float64],
    limit: float,
    outside_codes: npt.NDArray[np.uint8],
    outside_rows: Nodes,
) -> Positions:
    """Positions of the rows outside whose codes are within a distance of a query's code.

    The last two arguments are those of `Request`.
    """
    allowed = np.flatnonzero(outside_rows >= 0).astype(np.int32)
    if not len(allowed) or np.isinf(limit):
        return outside_rows[allowed].astype(np.int64)
    step = max(1, BLOCK_BYTES // outside_codes.shape[1])
    keys = [
        _keys(code, outside_codes, allowed[first : first + step])
        for first in range(0, len(allowed), step)
    ]
    return np.asarray(outside_rows[allowed[np.concatenate(keys) >> 32 <= limit]], np.int64)


def _nearest_keys(
    code: npt.NDArray[np.float64], codes: npt.NDArray[np.uint8], nodes: Nodes, count: int
) -> npt.NDArray[np.int64]:
    """Keys of the `count` of some nodes whose codes are nearest to a code, nearest first."""
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


def _positions(keys: list[int], request: Request) -> Positions:
    nodes = (np.array(keys, np.int64) & 0xFFFFFFFF) >> 1
    return np.asarray(request.row_map[nodes].astype(np.int64))


def _matching(keys: list[int], request: Request) -> tuple[Positions, Positions, int]:
    """Positions and distances of the candidates that match, and how many are early."""
    listed = np.array(keys, np.int64)
    found = _positions(keys, request)
    matching = found >= 0
    if len(request.mask):
        matching &= request.mask[found]
    early = int(np.count_nonzero(matching[: request.candidate_window]))
    return found[matching], listed[matching] >> 32, early


def encode(query: Vectors, codes: Codes) -> npt.NDArray[np.float64]:
    """The query as a code; 128 stands for 0."""
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


class _GraphSearch:
    """A search of a graph that can go on with more effort, as `numba_graph.extend`."""

    def __init__(
        self, code: npt.NDArray[np.float64], codes: Codes, graph: Graph, size: int
    ) -> None:
        self._code, self._codes, self._graph, self._size = code, codes, graph, size
        self._start = self._descend()
        self._pool: list[int] = [self._start]
        self._seen = {_node(self._start)}
        self._coded = len(graph.near) > 0
        if self._coded:
            turned = neighbor_codes.rotated((code - 128).astype(np.float32)[None])[0]
            self._table = neighbor_codes.table_of(turned)

    def _keys_of(self, nodes: list[int]) -> npt.NDArray[np.int64]:
        return _keys(self._code, self._codes.codes, np.array(nodes, np.int32))

    def _descend(self) -> int:
        """The key of the node that is nearest on the levels above the lowest."""
        graph = self._graph
        best = int(self._keys_of([graph.entry])[0])
        for level in range(graph.top, 0, -1):
            moved = True
            while moved:
                keys = self._keys_of(_neighbors(graph, _node(best), level))
                # Of neighbors at one distance the first listed is taken, as in compiled code.
                nearest = int(keys[np.argmin(keys >> 32)]) if len(keys) else best
                moved = nearest >> 32 < best >> 32
                best = nearest if moved else best
        return best

    @property
    def compared(self) -> int:
        """How many nodes of the lowest level were compared."""
        return len(self._seen)

    def extend(self, effort: int) -> list[int]:
        """The keys of the `effort` nearest nodes that the search finds, nearest first."""
        if self._coded:  # what was left out before may be near enough now
            self._pool, self._seen, self._size = [self._start], {_node(self._start)}, effort
        pool, seen, place = self._pool, self._seen, 0
        while place < min(len(pool), effort):
            if pool[place] & VISITED:
                place += 1
                continue
            node = _node(pool[place])
            pool[place] |= VISITED
            listed = _neighbors(self._graph, node, 0)
            if self._coded:
                listed = self._worth(listed, pool[place])
            new = [other for other in listed if other not in seen]
            if new:
                seen.update(new)
                for key in self._keys_of(new).tolist():
                    if len(pool) < self._size or key < pool[-1]:
                        index = bisect_left(pool, key)
                        pool.insert(index, key)
                        place = min(place, index)
                        del pool[self._size :]
        return pool[:effort]

    def _worth(self, neighbors: list[int], key: int) -> list[int]:
        """The neighbors of a node that may come into the pool, by the codes beside it."""
        pool = self._pool
        limit = (pool[-1] if len(pool) == self._size else NO_LIMIT) >> 32
        blocks = self._graph.near[_node(key)].reshape(
            -1, neighbor_codes.block_bytes(len(self._code))
        )
        worth = np.concatenate(
            [neighbor_codes.worth(block, *self._table, key >> 32, limit) for block in blocks]
        )
        return [other for other, good in zip(neighbors, worth.tolist(), strict=False) if good]


def _rank(
    query: Vectors,
    candidates: Positions,
    distances: Positions,
    outside: Positions,
    complete: bool,
    request: Request,
    rows: Positions,
    scores: Wide,
) -> int:
    """The best of the candidates and the rows outside, as `numba_scores.rank`."""
    best = rank_candidates(
        lambda listed: _scores_at(query, listed, request),
        candidates,
        distances.astype(np.float64),
        np.concatenate([request.unindexed, outside]),
        complete,
        request.effort.misses,
        request.depth,
        len(rows),
    )
    if best is None:
        return UNSURE
    rows[: len(best[0])], scores[: len(best[0])] = best
    return len(best[0])


def rank_candidates(
    score: Callable[[Positions], Wide],
    candidates: Positions,
    distances: Wide,
    unindexed: Positions,
    complete: bool,
    misses: float,
    depth: int,
    k: int,
) -> tuple[Positions, Wide] | None:
    """The k best of some candidates and of the unindexed rows, as `numba_scores.rank`.

    Args:
        score: Maps positions to their final scores.
        candidates: int64, nearest first.
        distances: Of their codes.
        unindexed: Positions that are scored in any case.
        complete: Whether the candidates are all that there are.
        misses, depth: As in `Request`.
        k: Rows to find.

    Returns:
        Positions and scores, best first; None if more candidates are needed than there are.
    """
    count, done, until = len(candidates), 0, min(depth, len(candidates))
    outside, high = score(unindexed), np.empty(0)
    while True:
        high = np.concatenate([high, score(candidates[done:until])])
        done = until
        listed = np.concatenate([candidates[:done], unindexed])
        found = np.concatenate([high, outside])
        order = np.lexsort((listed, -found))[:k]
        enough = bool(np.isinf(misses)) or (complete and done == count)
        if not enough and len(order) == k and done >= LEAST:
            kth = found[order[-1]]
            enough = _expected(distances[:done], high, kth) <= misses
        if enough:
            return listed[order], found[order]
        if done == count:
            return None
        until = min(next_depth(done), count)


def _expected(distances: Wide, scores: Wide, kth: float) -> float:
    near, high = distances - distances[0], scores - scores[0]
    sums = np.stack([near, high, near * near, near * high, high * high])
    sums = np.add.accumulate(sums, axis=1)[:, -1]  # one after the other, as compiled code adds
    (x, y, xx, xy, yy), count = sums, len(near)
    crowded = crowding(distances, count)
    return float(expected_misses(count, x, y, xx, xy, yy, near[-1], crowded, kth - scores[0]))


def _scores_at(query: Vectors, listed: Positions, request: Request) -> Wide:
    """Final scores of some positions."""
    segments = np.searchsorted(request.starts, listed, "right") - 1
    size = 4 * len(query)
    addresses = request.addresses[segments] + (listed - request.starts[segments]) * size
    stored = b"".join(ctypes.string_at(address, size) for address in addresses.tolist())
    vectors = np.frombuffer(stored, np.float32).reshape(-1, len(query))
    return final_scores(vectors, query, request.metric)
