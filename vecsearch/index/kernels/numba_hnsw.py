"""Compiled search of a FAISS graph of signed bytes: one call encodes, searches and scores.

Nothing passes through Python in between. `numba_graph.py` visits the nodes; `numpy_hnsw.py` holds
the same algorithms in numpy. Change both together; a test compares them.

Calls go to the compiled function itself (`entry_point`): numba's check of the types of named tuples
takes 3 µs a call, the call itself less than 1 µs. Callers must pass the types of `arguments.py`.

Numba is imported here, so `loader.py` imports this module when it is worth it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

from vecsearch.index.kernels.arguments import CHUNK, TOO_FEW, UNSURE
from vecsearch.index.kernels.compiled import EXACT, OPTIONS, array_type, entry_point
from vecsearch.index.kernels.intrinsics import BLOCK, prefetch, prefetch_row, squared_distance
from vecsearch.index.kernels.numba_graph import (
    EMPTY,
    FORGOTTEN,
    begin,
    clear,
    extend,
    inline,
    insert,
    key_of,
    node_of,
    search_graph,
    widen,
)
from vecsearch.index.kernels.numba_judge import judge as judge
from vecsearch.index.kernels.numba_neighbors import prepare
from vecsearch.index.kernels.numba_scores import (
    address_of,
    after_contrast,
    at_large,
    higher_stage,
    list_near,
    rank,
    score_lists,
    score_of,
    write_unit,
)
from vecsearch.index.kernels.numba_types import (
    CODES,
    DOUBLES,
    FLOAT_ROWS,
    FLOATS,
    GRAPH,
    INT32,
    INT64,
    QUERIES,
    QUERY,
    REQUEST,
    SCRATCH,
)

AHEAD = 8  # listed codes that are prefetched before their turn


@inline
def _encode(query: Any, codes: Any, out: Any) -> None:
    """The query as a code in FAISS's unsigned form (128 stands for 0); see `query_codes.py`."""
    square = np.float32(0)
    for column in range(query.shape[0]):
        square += query[column] * query[column]
    border = 0.5 - codes.rounding * (np.sqrt(np.float64(square)) + codes.center_length)
    for row in range(codes.matrix.shape[0]):
        total = np.float32(0)
        for column in range(query.shape[0]):
            total += codes.matrix[row, column] * query[column]
        value = total + codes.offset[row]
        rounded = np.rint(value)
        if np.abs(value - rounded) > border:
            exact = np.float64(codes.offset[row])
            for column in range(query.shape[0]):
                exact += np.float64(codes.matrix[row, column]) * np.float64(query[column])
            rounded = np.float32(np.rint(exact))
        out[row] = np.int16(min(max(rounded, np.float32(-127)), np.float32(127))) + np.int16(128)


# -- rows outside the graph --


@inline
def _take_outside(request: Any, scratch: Any, limit: Any, dim: Any) -> Any:
    """List the positions of the rows outside whose codes are within a distance: how many.

    All of them are scored: they may be closer together than codes can tell apart.
    """
    outside, code, taken = request.outside_codes, scratch.code, 0
    blocks = code.shape[0] // BLOCK
    lead = (blocks + 1) // 2  # the components with most of the variance come first
    for number in range(outside.shape[0]):
        row = np.int64(request.outside_rows[number])
        if row < 0 or squared_distance(outside, number, code, lead) > limit:
            continue
        if squared_distance(outside, number, code, blocks) <= limit:
            scratch.outside[taken] = row
            taken += 1
            prefetch(address_of(row, request.starts, request.addresses, dim), 4 * dim)
    return taken


# -- entry points --


@inline
def _row_of_rank(pool: Any, rank_: Any, count: Any, row_map: Any) -> Any:
    """The position of the candidate of a rank, or of the next that is not deleted; -1 if none."""
    for place in range(rank_ - 1, count):
        row = np.int64(row_map[node_of(pool[CHUNK + place])])
        if row >= 0:
            return row
    return np.int64(-1)


@inline
def _list_matching(count: Any, request: Any, scratch: Any, dim: Any) -> Any:
    """List positions and distances of the candidates that match: how many, how many early."""
    pool, mask, matching, early = scratch.pool, request.mask, 0, 0
    for number in range(count):
        key = pool[CHUNK + number]
        row = np.int64(request.row_map[node_of(key)])
        if row >= 0 and (mask.shape[0] == 0 or mask[row]):
            scratch.positions[matching] = row
            scratch.distances[matching] = key >> 32
            matching += 1
            early += number < request.candidate_window
            if matching <= request.depth:
                prefetch(address_of(row, request.starts, request.addresses, dim), 4 * dim)
    return matching, early


def _search(
    query: Any, codes: Any, graph: Any, request: Any, scratch: Any, rows: Any, scores: Any
) -> Any:
    _encode(query, codes, scratch.code)
    efforts, code, stored, dim = request.effort.sizes, scratch.code, codes.codes, query.shape[0]
    stages, stage, before, used = efforts.shape[0], 0, -1, CHUNK + 1
    coded = graph.near.shape[0] > 0
    if coded:
        prepare(code, scratch)
    spared = 0 if stages > 1 and not coded else FORGOTTEN
    begin(stored, graph, 0, code, efforts[0], scratch)
    contrast, known = np.inf, codes.moments.mean.shape[0] > 0
    mean, deviation = 0.0, 1.0
    if known:
        mean, deviation = at_large(query, code, codes.moments, request.metric)
    while stage < stages:
        size = efforts[stage]
        if before >= 0 and spared >= 0:
            used, spared = widen(size, used, spared, scratch)
        elif before >= 0:
            begin(stored, graph, 0, code, size, scratch)
            used = CHUNK + 1
        before = stage
        used, spared, _ = extend(stored, graph, 0, code, size, used, spared, scratch)
        count = used - CHUNK
        row, score, following = np.int64(-1), np.inf, higher_stage(stage, efforts)
        if known:
            row = _row_of_rank(scratch.pool, request.effort.rank, count, request.row_map)
        if row >= 0:
            score = score_of(query, row, request)
            contrast = (score - mean) / deviation
        after = after_contrast(stage, following, score, contrast, request.effort)
        if after < 0:
            return after
        if after > stage:
            stage = after
            continue
        if np.isinf(request.effort.misses):
            size = request.depth
            count = min(count, size)
        complete = count == stored.shape[0]
        limit = EMPTY
        if count == size and not complete:
            limit = scratch.pool[CHUNK + count - 1] >> 32
        matching, early = _list_matching(count, request, scratch, dim)
        if early < request.enough:
            return TOO_FEW
        near = scratch.outside[: _take_outside(request, scratch, limit, dim)]
        positions, distances = scratch.positions[:matching], scratch.distances[:matching]
        found = rank(query, positions, distances, near, complete, request, rows, scores)
        if found != UNSURE:
            return found
        stage = following
    return UNSURE


def _scan(
    query: Any, codes: Any, nodes: Any, request: Any, scratch: Any, rows: Any, scores: Any
) -> Any:
    _encode(query, codes, scratch.code)
    code, pool, stored = scratch.code, scratch.pool, codes.codes
    size = request.effort.sizes[-1]
    blocks, used, end = code.shape[0] // BLOCK, CHUNK, CHUNK + size
    clear(pool, size)
    for number in range(nodes.shape[0]):
        if number + AHEAD < nodes.shape[0]:
            prefetch_row(stored, nodes[number + AHEAD], code.shape[0])
        key = key_of(squared_distance(stored, nodes[number], code, blocks), nodes[number])
        if key < pool[end - 1]:
            insert(pool, used, end - 1, key)
            used += 1
    count, dim = min(used, end) - CHUNK, query.shape[0]
    complete = count == nodes.shape[0]
    limit = EMPTY if complete else pool[end - 1] >> 32
    matching, _ = _list_matching(count, request, scratch, dim)
    near = scratch.outside[: _take_outside(request, scratch, limit, dim)]
    positions, distances = scratch.positions[:matching], scratch.distances[:matching]
    return rank(query, positions, distances, near, complete, request, rows, scores)


_ARGUMENTS = REQUEST, SCRATCH, INT64, DOUBLES
_compiled_search = numba.njit(types.int64(QUERY, CODES, GRAPH, *_ARGUMENTS), **EXACT)(_search)
_compiled_scan = numba.njit(types.int64(QUERY, CODES, INT32, *_ARGUMENTS), **EXACT)(_scan)


def _search_many(
    queries: Any,
    codes: Any,
    graph: Any,
    request: Any,
    scratch: Any,
    rows: Any,
    scores: Any,
    counts: Any,
) -> None:
    for number in range(queries.shape[0]):
        counts[number] = _compiled_search(
            queries[number], codes, graph, request, scratch, rows[number], scores[number]
        )


def _scan_many(
    queries: Any,
    codes: Any,
    nodes: Any,
    request: Any,
    scratch: Any,
    rows: Any,
    scores: Any,
    counts: Any,
) -> None:
    for number in range(queries.shape[0]):
        counts[number] = _compiled_scan(
            queries[number], codes, nodes, request, scratch, rows[number], scores[number]
        )


def _propose(
    queries: Any,
    codes: Any,
    graph: Any,
    row_map: Any,
    effort: Any,
    scratch: Any,
    rows: Any,
    distances: Any,
) -> Any:
    depth, compared = rows.shape[1], 0
    for number in range(queries.shape[0]):
        _encode(queries[number], codes, scratch.code)
        if graph.near.shape[0] > 0:
            prepare(scratch.code, scratch)
        size = max(effort, depth)
        count, visited = search_graph(codes.codes, graph, 0, scratch.code, size, scratch)
        compared += visited
        for place in range(depth):
            key = scratch.pool[CHUNK + place]
            rows[number, place] = row_map[node_of(key)] if place < count else -1
            distances[number, place] = key >> 32
    return compared


POSITIONS, SCORES = array_type(types.int64, 2), array_type(types.float64, 2)
_MANY = REQUEST, SCRATCH, POSITIONS, SCORES, INT64

search = entry_point(_compiled_search)
"""search(query, codes, graph, request, scratch, rows, scores): the best rows for one query.

Writes them into `rows` (int64) and `scores` (float64, see `numpy_scores.py`), and returns how many;
TOO_FEW if fewer than `request.enough` of the first `request.candidate_window` candidates match,
FAR if the candidate of rank `request.effort.rank` scores too low, UNSURE if the query is too hard
for the largest of `request.effort.sizes`.
"""
scan = entry_point(_compiled_scan)
"""scan(query, codes, nodes, request, scratch, rows, scores): the best of listed nodes (int32).

All of them must have a position. Candidates are the nearest by code, as many as the largest of
`request.effort.sizes`. As `search`.
"""
search_many = entry_point(
    numba.njit(types.void(QUERIES, CODES, GRAPH, *_MANY), **OPTIONS)(_search_many)
)
"""search_many(queries, codes, graph, request, scratch, rows, scores, counts): `search` for each."""
scan_many = entry_point(
    numba.njit(types.void(QUERIES, CODES, INT32, *_MANY), **OPTIONS)(_scan_many)
)
"""scan_many(queries, codes, nodes, request, scratch, rows, scores, counts): `scan` for each."""
propose = entry_point(
    numba.njit(
        types.int64(
            *(QUERIES, CODES, GRAPH, INT32, types.int64, SCRATCH),
            *(POSITIONS, POSITIONS),
        ),
        **OPTIONS,
    )(_propose)
)
"""propose(queries, codes, graph, row_map, effort, scratch, rows, distances): mere candidates.

Writes positions into `rows`, int64 (nq, depth), padded with -1, and distances of the codes into
`distances`, int64 (nq, depth); returns how many nodes were compared.
"""
final = entry_point(
    numba.njit(
        types.void(QUERIES, POSITIONS, INT64, INT64, types.int64, SCORES),
        **EXACT,
    )(score_lists.py_func)
)
"""final(queries, rows, starts, addresses, metric, scores): final scores of each query's rows.

Writes them into `scores`, float64 (nq, width), but where a row is -1.
"""
unit = entry_point(numba.njit(types.float64(QUERY, FLOATS), **EXACT)(write_unit.py_func))
"""unit(vector, unit): see `write_unit`."""
near = entry_point(
    numba.njit(
        types.UniTuple(types.int64, 2)(
            *(FLOAT_ROWS, FLOATS, FLOATS, types.int64, INT64, INT64, FLOATS)
        ),
        **EXACT,
    )(list_near.py_func)
)
"""near(products, less, least, first, owners, places, values): see `list_near`."""
