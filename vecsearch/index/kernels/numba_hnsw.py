"""Compiled search of a FAISS graph of signed bytes: one call encodes, searches and scores.

The graph and its codes are read where FAISS holds them. The search visits the nodes that FAISS's
search visits (Malkov and Yashunin, arXiv:1603.09320, algorithm 5); equal distances are ordered by
node. It is faster for three reasons: codes are prefetched while others are compared, which FAISS
does not do for codes of bytes; the nearest nodes are one sorted array of integers, into which a
vector instruction inserts without branches; and nothing passes through Python in between.

A pool is an int64 array: CHUNK entries of -1, then a key for each of the nearest nodes, nearest
first, then EMPTY in unused entries. A key holds the distance (upper 32 bits), the node (31 bits)
and whether the node's neighbors were visited (1 bit).

`numpy_hnsw.py` holds the same algorithms in numpy. Change both together; a test compares them.

Calls go to the compiled function itself (`entry_point`): numba's check of the types of named tuples
takes 3 µs a call, the call itself less than 1 µs. Callers must pass the types of `arguments.py`.

Numba is imported here, so `loader.py` imports this module when it is worth it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

from vecsearch.index.kernels.arguments import (
    CHUNK,
    FAR,
    FULL,
    SPARE,
    TOO_FEW,
    UNSURE,
    Codes,
    Effort,
    Graph,
    Moments,
    Request,
    Scratch,
)
from vecsearch.index.kernels.compiled import EXACT, OPTIONS, array_type, entry_point
from vecsearch.index.kernels.intrinsics import (
    BLOCK,
    insert_into_chunk,
    prefetch,
    prefetch_row,
    squared_distance,
)
from vecsearch.index.kernels.misses import next_stage
from vecsearch.index.kernels.numba_neighbors import list_worth, prepare
from vecsearch.index.kernels.numba_scores import (
    address_of,
    at_large,
    list_near,
    rank,
    score_lists,
    score_of,
    strict,
    write_unit,
)

AHEAD = 8  # listed codes that are prefetched before their turn
EMPTY = np.int64(2**63 - 1)
FORGOTTEN = np.int64(-1)  # in place of how many nodes are spared: they were too many
VISITED = np.int64(1)

inline = numba.njit(nogil=True, boundscheck=False, fastmath=True)
FLOATS, FLOAT_ROWS = array_type(types.float32), array_type(types.float32, 2)
INT32, INT64, SHORTS, DOUBLES = (
    array_type(kind) for kind in (types.int32, types.int64, types.int16, types.float64)
)
BYTES, BYTE_ROWS = array_type(types.uint8), array_type(types.uint8, 2)
QUERY, QUERIES = (array_type(types.float32, number, readonly=True) for number in (1, 2))
MOMENTS = types.NamedTuple((FLOATS, DOUBLES, DOUBLES, *([types.float64] * 4)), Moments)
CODES = types.NamedTuple(
    (FLOAT_ROWS, FLOATS, types.float64, types.float64, BYTE_ROWS, MOMENTS), Codes
)
GRAPH = types.NamedTuple((INT32, INT64, INT64, types.int64, types.int64, BYTE_ROWS), Graph)
EFFORT = types.NamedTuple((INT64, DOUBLES, types.int64, types.float64, types.float64), Effort)
REQUEST = types.NamedTuple(
    (
        *(INT32, array_type(types.boolean), INT64, BYTE_ROWS, INT32, INT64, INT64),
        *(types.int64, EFFORT, types.int64, types.int64, types.int64),
    ),
    Request,
)
SCRATCH = types.NamedTuple(
    (SHORTS, INT64, BYTES, INT64, INT32, *([INT64] * 4), FLOAT_ROWS, BYTES, FLOATS, FLOAT_ROWS),
    Scratch,
)


# -- codes and pools --


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
def _begin(codes: Any, graph: Any, level: Any, query: Any, size: Any, scratch: Any) -> Any:
    """Empty the pool for the nearest `size` nodes, but for the one nearest from above."""
    start = _descend(codes, graph, level, query)
    clear(scratch.pool, size)
    distance = squared_distance(codes, start, query, query.shape[0] // BLOCK)
    scratch.pool[CHUNK] = key_of(distance, start)
    scratch.seen[start] = next_mark(scratch)


@inline
def _extend(
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
def _widen(size: Any, used: Any, spared: Any, scratch: Any) -> Any:
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
    _begin(codes, graph, level, query, size, scratch)
    used, _, compared = _extend(codes, graph, level, query, size, CHUNK + 1, FORGOTTEN, scratch)
    return used - CHUNK, compared + 1


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

higher_stage = strict(next_stage)


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
    _begin(stored, graph, 0, code, efforts[0], scratch)
    contrast, known = np.inf, codes.moments.mean.shape[0] > 0
    mean, deviation = 0.0, 1.0
    if known:
        mean, deviation = at_large(query, code, codes.moments, request.metric)
    while stage < stages:
        size = efforts[stage]
        if before >= 0 and spared >= 0:
            used, spared = _widen(size, used, spared, scratch)
        elif before >= 0:
            _begin(stored, graph, 0, code, size, scratch)
            used = CHUNK + 1
        before = stage
        used, spared, _ = _extend(stored, graph, 0, code, size, used, spared, scratch)
        count = used - CHUNK
        row = np.int64(-1)
        if known:
            row = _row_of_rank(scratch.pool, request.effort.rank, count, request.row_map)
        if row >= 0:
            score = score_of(query, row, request)
            if score < request.effort.farthest:
                if stage > 0 or stages == 1:
                    return FAR
                stage = higher_stage(stage, efforts)
                continue
            contrast = (score - mean) / deviation
        if contrast < request.effort.contrasts[stage]:
            if stage == stages - 1:
                return UNSURE
            stage += 1
            while stage < stages - 1 and contrast < request.effort.contrasts[stage]:
                stage += 1
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
        stage = higher_stage(stage, efforts)
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
