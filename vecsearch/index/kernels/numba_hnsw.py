"""A FAISS graph of signed bytes searched and made by compiled code: projection, walk and re-scoring of a query in one call
without Python; and the links of new nodes.

The graph and its codes are FAISS's own, read where they lie; the walk visits what FAISS's search visits (Malkov and Yashunin,
arXiv:1603.09320, algorithm 5) and finds the same rows but for ties. What makes it faster: codes are fetched ahead while others
are compared, which FAISS does not do for codes of bytes; the pool of the nearest is one sorted array of numbers, into which
a vector instruction inserts without branches; and nothing is handed back and forth between small array operations, which
cost as much as the walk itself.

A pool is an int64 array: CHUNK places that hold -1, then the nearest nodes, nearest first, each as one number: distance
(upper 32 bits), node (31 bits), and whether its neighbours were looked at (1 bit). Places not taken hold EMPTY.

New nodes are linked by the insertion of the same paper (algorithms 1 and 4); two things differ. They come in batches, as in
Dobson et al. (ParlayANN, arXiv:2305.04359): all of a batch look for neighbours in the graph as it was before, then all links
are made, so that the result does not depend on the number of threads. And nodes with the same code as the new one get at most
a share of its links: else copies of one text link only to each other, and a search that comes among them never gets out.

Numba (the extra `fast`) is imported here, so this module is imported only by `fast.py`, when it pays.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BLOCK = 32  # codes compared at a time: rows are whole numbers of blocks
CACHE_LINE = 64
AHEAD = 8  # codes of listed rows fetched before their turn
FULL = 255  # marks of visited nodes before they are wiped
CHUNK = 8  # places of a pool changed at a time
SAME_CODE = 4  # at most one link in so many goes to a node with the same code
LONGER = 264  # a neighbour is left out where another is nearer to it than 256 / LONGER of its distance to the node
EMPTY = np.int64(2**63 - 1)
LOOKED = np.int64(1)


@intrinsic
def _squared_distance(_context: Any, codes: Any, row: Any, query: Any, blocks: Any) -> Any:
    """Σ (codes[row, i] - query[i])² as int32; codes uint8 (n, 32 * blocks), query int16.

    Written as vectors of 16-bit differences, multiplied and added in pairs: compilers turn that into the processor's one
    instruction for it, which they do not find in a plain loop.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bytes_, shorts, wide = (ir.VectorType(ir.IntType(bits), BLOCK) for bits in (8, 16, 32))
        half = ir.VectorType(ir.IntType(32), BLOCK // 2)
        code = _row_address(context, builder, signature.args[0], arguments[0], arguments[1])
        asked = context.make_array(signature.args[2])(context, builder, arguments[2]).data
        total = cgutils.alloca_once_value(builder, ir.Constant(half, [0] * (BLOCK // 2)))
        even, odd = (ir.Constant(half, list(range(first, BLOCK, 2))) for first in (0, 1))
        with cgutils.for_range(builder, arguments[3]) as loop:
            at = builder.mul(loop.index, ir.Constant(loop.index.type, BLOCK))
            left = builder.load(
                builder.bitcast(builder.gep(code, [at]), bytes_.as_pointer()), align=1
            )
            right = builder.load(
                builder.bitcast(builder.gep(asked, [at]), shorts.as_pointer()), align=2
            )
            difference = builder.sext(builder.sub(builder.zext(left, shorts), right), wide)
            square = builder.mul(difference, difference)
            nothing = ir.Constant(wide, ir.Undefined)
            pairs = builder.add(
                builder.shuffle_vector(square, nothing, even),
                builder.shuffle_vector(square, nothing, odd),
            )
            builder.store(builder.add(builder.load(total), pairs), total)
        name = f"llvm.vector.reduce.add.v{BLOCK // 2}i32"
        add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.IntType(32), [half]), name
        )
        return builder.call(add, [builder.load(total)])

    return types.int32(codes, row, query, blocks), generate


@intrinsic
def _fetch_row(_context: Any, array: Any, row: Any, size: Any) -> Any:
    """Ask for the first `size` bytes of a row of a C-contiguous array, without waiting for them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _prefetch(
            builder,
            _row_address(context, builder, signature.args[0], arguments[0], arguments[1]),
            arguments[2],
        )
        return context.get_dummy_value()

    return types.void(array, row, size), generate


@intrinsic
def _fetch(_context: Any, address: Any, size: Any) -> Any:
    """The same for `size` bytes from an address on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _prefetch(builder, builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()), arguments[1])
        return context.get_dummy_value()

    return types.void(address, size), generate


@intrinsic
def _floats(_context: Any, address: Any) -> Any:
    """An address as a pointer to float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float32)(address), generate


@intrinsic
def _insert_into(_context: Any, pool: Any, first: Any, key: Any) -> Any:
    """Insert into pool[first : first + CHUNK], where it belongs there or further up; the last of the chunk falls out.

    In a sorted array, what stands at a place after an insertion is max(its left neighbour, min(itself, the key)).
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, many = ir.IntType(64), ir.VectorType(ir.IntType(64), CHUNK)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]])
        left = builder.gep(place, [ir.Constant(number, -1)])
        here, before = (
            builder.load(builder.bitcast(start, many.as_pointer()), align=8)
            for start in (place, left)
        )
        nothing, at = ir.Constant(many, ir.Undefined), ir.VectorType(ir.IntType(32), CHUNK)
        key = builder.insert_element(nothing, arguments[2], ir.Constant(ir.IntType(32), 0))
        key = builder.shuffle_vector(key, nothing, ir.Constant(at, [0] * CHUNK))
        after = builder.select(builder.icmp_signed("<", here, key), here, key)
        after = builder.select(builder.icmp_signed(">", before, after), before, after)
        builder.store(after, builder.bitcast(place, many.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(pool, types.int64, types.int64), generate


def _row_address(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    made = context.make_array(kind)(context, builder, array)
    stride = cgutils.unpack_tuple(builder, made.strides)[0]
    if row.type.width < 64:
        row = builder.sext(row, ir.IntType(64))
    return builder.gep(
        builder.bitcast(made.data, ir.IntType(8).as_pointer()), [builder.mul(stride, row)]
    )


def _prefetch(builder: Any, start: Any, size: Any) -> None:
    pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
    prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    read, keep, data = (ir.Constant(number, value) for value in (0, 3, 1))
    into_line = builder.and_(
        builder.ptrtoint(start, size.type), ir.Constant(size.type, CACHE_LINE - 1)
    )
    candidate_window = builder.add(
        builder.add(size, into_line), ir.Constant(size.type, CACHE_LINE - 1)
    )
    lines = builder.udiv(candidate_window, ir.Constant(size.type, CACHE_LINE))
    with cgutils.for_range(builder, lines) as loop:
        at = builder.mul(loop.index, ir.Constant(loop.index.type, CACHE_LINE))
        builder.call(prefetch, [builder.gep(start, [at]), read, keep, data])


_inline = numba.njit(nogil=True, boundscheck=False, fastmath=True)
_OPTIONS = {"nogil": True, "boundscheck": False, "fastmath": True, "cache": True}


@_inline
def _project(query: Any, matrix: Any, offset: Any, out: Any) -> None:
    """The query as a code, in the unsigned form that FAISS stores: 128 stands for 0."""
    for row in range(matrix.shape[0]):
        total = np.float32(0)
        for column in range(query.shape[0]):
            total += matrix[row, column] * query[column]
        rounded = np.rint(total + offset[row])
        out[row] = np.int16(min(max(rounded, np.float32(-127)), np.float32(127))) + np.int16(128)


@_inline
def _key(distance: Any, node: Any) -> Any:
    return np.int64(distance) << 32 | np.int64(node) << 1


@_inline
def _node(key: Any) -> Any:
    return (key & 0xFFFFFFFF) >> 1


@_inline
def _clear(pool: Any, most: Any) -> None:
    """Make a pool ready for the nearest `most`."""
    pool[:CHUNK] = -1
    pool[CHUNK : 2 * CHUNK + most] = EMPTY


@_inline
def _insert(pool: Any, used: Any, last: Any, key: Any) -> Any:
    """Put a key into a pool whose places before `used` are taken and whose last is `last`; a place at or before the key's."""
    place = min(used, last) // CHUNK * CHUNK
    _insert_into(pool, place, key)
    while pool[place - 1] > key:
        place -= CHUNK
        _insert_into(pool, place, key)
    return place


@_inline
def _descend(
    codes: Any, links: Any, offsets: Any, levels: Any, entry: Any, top: Any, bottom: Any, query: Any
) -> Any:
    """From the entry point down to the level above `bottom`, always to the nearest neighbour."""
    blocks = query.shape[0] // BLOCK
    node, nearest = entry, _squared_distance(codes, entry, query, blocks)
    for level in range(top, bottom, -1):
        moved = True
        while moved:
            moved = False
            first, last = offsets[node] + levels[level], offsets[node] + levels[level + 1]
            for at in range(first, last):
                if links[at] < 0:
                    break
                _fetch_row(codes, links[at], query.shape[0])
            for at in range(first, last):
                other = links[at]
                if other < 0:
                    break
                distance = _squared_distance(codes, other, query, blocks)
                if distance < nearest:
                    node, nearest, moved = other, distance, True
    return node


@_inline
def _walk(
    codes: Any,
    links: Any,
    offsets: Any,
    skip: Any,
    width: Any,
    start: Any,
    query: Any,
    most: Any,
    pool: Any,
    seen: Any,
    mark: Any,
    waiting: Any,
) -> Any:
    """Fill the pool with the `most` nearest nodes that can be reached: how many they are, and how many were compared. The links
    on a level are `width` of those of a node, after `skip`."""
    blocks, end, compared = query.shape[0] // BLOCK, CHUNK + most, 1
    _clear(pool, most)
    pool[CHUNK] = _key(_squared_distance(codes, start, query, blocks), start)
    seen[start] = mark
    used, at = CHUNK + 1, CHUNK
    while at < end:
        first = offsets[_node(pool[at])] + skip
        pool[at] |= LOOKED
        new = 0
        for place in range(first, first + width):
            other = links[place]
            if other < 0:
                break
            if seen[other] != mark:
                seen[other] = mark
                waiting[new] = other
                new += 1
                _fetch_row(codes, other, query.shape[0])
        at += 1
        compared += new
        for number in range(new):
            other = waiting[number]
            key = _key(_squared_distance(codes, other, query, blocks), other)
            if key < pool[end - 1]:
                at = min(at, _insert(pool, used, end - 1, key))
                used += 1
        taken = min(used, end)
        at = ahead = _next(pool, at, taken)
        for _ in range(2):
            if ahead < taken:
                _fetch_row(links, offsets[_node(pool[ahead])] + skip, 4 * width)
                ahead = _next(pool, ahead + 1, taken)
        if at == taken:
            break
    return min(used, end) - CHUNK, compared


@_inline
def _reach(
    codes: Any,
    links: Any,
    offsets: Any,
    levels: Any,
    level: Any,
    entry: Any,
    top: Any,
    query: Any,
    most: Any,
    pool: Any,
    seen: Any,
    mark: Any,
    waiting: Any,
) -> Any:
    """From the entry point down to a level, and through it: what `_walk` gives."""
    start = _descend(codes, links, offsets, levels, entry, top, level, query)
    skip, width = levels[level], levels[level + 1] - levels[level]
    return _walk(codes, links, offsets, skip, width, start, query, most, pool, seen, mark, waiting)


@_inline
def _next_mark(seen: Any, mark: Any) -> Any:
    """The mark for the next walk; the old ones are wiped when all were used."""
    if mark < FULL:
        return mark + 1
    seen[:] = 0
    return 1


@_inline
def _next(pool: Any, at: Any, end: Any) -> Any:
    """The first place from `at` on, before `end`, whose neighbours were not looked at; `end` where there is none."""
    while at < end and pool[at] & LOOKED:
        at += 1
    return at


@_inline
def _address(row: Any, starts: Any, addresses: Any, dim: Any) -> Any:
    """Where the vector of a position lies; starts: the first position of each segment."""
    segment = 0
    while segment + 1 < starts.shape[0] and starts[segment + 1] <= row:
        segment += 1
    return addresses[segment] + (row - starts[segment]) * (4 * dim)


@_inline
def _score(address: Any, query: Any, euclidean: Any) -> Any:
    vector = numba.carray(_floats(address), (query.shape[0],))
    total = np.float32(0)
    if euclidean:
        for column in range(query.shape[0]):
            difference = vector[column] - query[column]
            total -= difference * difference
    else:
        for column in range(query.shape[0]):
            total += vector[column] * query[column]
    return total


@_inline
def _keep(rows: Any, scores: Any, count: Any, row: Any, score: Any) -> Any:
    """Put a row among the best, best first, equal scores in the order of their rows; how many there are now."""
    place = count
    if count == rows.shape[0]:
        place = count - 1
        if score < scores[place] or (score == scores[place] and row > rows[place]):
            return count
    while place > 0 and (
        scores[place - 1] < score or (scores[place - 1] == score and rows[place - 1] > row)
    ):
        scores[place], rows[place] = scores[place - 1], rows[place - 1]
        place -= 1
    scores[place], rows[place] = score, row
    return min(count + 1, rows.shape[0])


@_inline
def _rank(
    query: Any,
    candidates: Any,
    unindexed: Any,
    starts: Any,
    addresses: Any,
    euclidean: Any,
    rows: Any,
    scores: Any,
) -> Any:
    """The best of two lists of positions by the scores of their vectors, into `rows` and `scores`: how many."""
    found, dim = 0, query.shape[0]
    for row in candidates:
        found = _keep(
            rows,
            scores,
            found,
            row,
            _score(_address(row, starts, addresses, dim), query, euclidean),
        )
    for row in unindexed:
        found = _keep(
            rows,
            scores,
            found,
            row,
            _score(_address(row, starts, addresses, dim), query, euclidean),
        )
    return found


def _search(
    query: Any,
    matrix: Any,
    offset: Any,
    codes: Any,
    links: Any,
    offsets: Any,
    levels: Any,
    entry: Any,
    top: Any,
    row_map: Any,
    mask: Any,
    unindexed: Any,
    starts: Any,
    addresses: Any,
    euclidean: Any,
    effort: Any,
    depth: Any,
    candidate_window: Any,
    enough: Any,
    code: Any,
    pool: Any,
    seen: Any,
    mark: Any,
    waiting: Any,
    rows: Any,
    scores: Any,
) -> Any:
    """The best rows for one query, into `rows` and `scores`: how many, or -1 where fewer than `enough` of the first `reach`
    candidates match. The arguments are those of `Walk`: its codes and graph, a `Request`, and its scratch."""
    _project(query, matrix, offset, code)
    most = max(effort, depth)
    count, _ = _reach(
        codes, links, offsets, levels, 0, entry, top, code, most, pool, seen, mark, waiting
    )
    candidates = pool[CHUNK:]  # positions take the places of the keys they are read from
    matching = early = 0
    for number in range(min(depth, count)):
        row = np.int64(row_map[_node(candidates[number])])
        if row >= 0 and (mask.shape[0] == 0 or mask[row]):
            candidates[matching] = row
            matching += 1
            early += number < candidate_window
            _fetch(_address(row, starts, addresses, query.shape[0]), 4 * query.shape[0])
    if early < enough:
        return -1
    return _rank(
        query, candidates[:matching], unindexed, starts, addresses, euclidean, rows, scores
    )


def _scan(
    query: Any,
    matrix: Any,
    offset: Any,
    codes: Any,
    listed: Any,
    row_map: Any,
    _mask: Any,
    unindexed: Any,
    starts: Any,
    addresses: Any,
    euclidean: Any,
    _effort: Any,
    depth: Any,
    _reach: Any,
    _enough: Any,
    code: Any,
    pool: Any,
    rows: Any,
    scores: Any,
) -> Any:
    """The best of listed nodes for one query, into `rows` and `scores`: how many. Their codes choose `depth` of them."""
    _project(query, matrix, offset, code)
    blocks, used, end = code.shape[0] // BLOCK, CHUNK, CHUNK + depth
    _clear(pool, depth)
    for number in range(listed.shape[0]):
        if number + AHEAD < listed.shape[0]:
            _fetch_row(codes, listed[number + AHEAD], code.shape[0])
        key = _key(_squared_distance(codes, listed[number], code, blocks), listed[number])
        if key < pool[end - 1]:
            _insert(pool, used, end - 1, key)
            used += 1
    candidates = pool[CHUNK : min(used, end)]
    for number in range(candidates.shape[0]):
        candidates[number] = row_map[_node(candidates[number])]
        _fetch(_address(candidates[number], starts, addresses, query.shape[0]), 4 * query.shape[0])
    return _rank(query, candidates, unindexed, starts, addresses, euclidean, rows, scores)


def _propose(
    queries: Any,
    matrix: Any,
    offset: Any,
    codes: Any,
    links: Any,
    offsets: Any,
    levels: Any,
    entry: Any,
    top: Any,
    row_map: Any,
    effort: Any,
    code: Any,
    pool: Any,
    seen: Any,
    waiting: Any,
    rows: Any,
) -> Any:
    """What the walk finds for each query, without re-scoring, into `rows` (int64 (nq, depth), filled up with -1): how many
    nodes were compared in all."""
    depth, compared, used = rows.shape[1], 0, FULL
    most = max(effort, depth)
    for number in range(queries.shape[0]):
        used = _next_mark(seen, used)
        _project(queries[number], matrix, offset, code)
        count, some = _reach(
            codes,
            links,
            offsets,
            levels,
            0,
            entry,
            top,
            code,
            most,
            pool,
            seen,
            np.uint8(used),
            waiting,
        )
        compared += some
        for place in range(depth):
            rows[number, place] = row_map[_node(pool[CHUNK + place])] if place < count else -1
    return compared


def _of(kind: Any, dimensions: int = 1, *, changes: bool = False) -> Any:
    return types.Array(kind, dimensions, "C", readonly=not changes)


_CODES = _of(types.float32, 2), _of(types.float32), _of(types.uint8, 2)  # matrix, offset, codes
_GRAPH = (
    _of(types.int32),
    _of(types.int64),
    _of(types.int64),
    types.int64,
    types.int64,
)  # links, offsets, levels, entry, top
_REQUEST = (
    *(_of(types.int32), _of(types.boolean), _of(types.int64)),  # places, mask, fresh
    *(_of(types.int64), _of(types.int64), types.boolean),  # starts, addresses, euclidean
    *(types.int64, types.int64, types.int64, types.int64),  # effort, depth, reach, enough
)
_POOL = _of(types.int16, changes=True), _of(types.int64, changes=True)  # code, pool
_SCRATCH = (
    *_POOL,
    _of(types.uint8, changes=True),
    types.uint8,
    _of(types.int32, changes=True),
)  # seen, mark, waiting
_ANSWER = _of(types.int64, changes=True), _of(types.float32, changes=True)  # rows, scores
search = numba.njit(
    types.int64(_of(types.float32), *_CODES, *_GRAPH, *_REQUEST, *_SCRATCH, *_ANSWER), **_OPTIONS
)(_search)
scan = numba.njit(
    types.int64(_of(types.float32), *_CODES, _of(types.int32), *_REQUEST, *_POOL, *_ANSWER),
    **_OPTIONS,
)(_scan)


def _search_many(
    queries: Any,
    matrix: Any,
    offset: Any,
    codes: Any,
    links: Any,
    offsets: Any,
    levels: Any,
    entry: Any,
    top: Any,
    row_map: Any,
    mask: Any,
    unindexed: Any,
    starts: Any,
    addresses: Any,
    euclidean: Any,
    effort: Any,
    depth: Any,
    candidate_window: Any,
    enough: Any,
    code: Any,
    pool: Any,
    seen: Any,
    mark: Any,
    waiting: Any,
    rows: Any,
    scores: Any,
    counts: Any,
) -> Any:
    """`search` for one query after the other; what it returns goes into `counts`. The last mark used."""
    used: Any = np.int64(mark)
    for number in range(queries.shape[0]):
        used = _next_mark(seen, used)
        counts[number] = search(
            queries[number],
            matrix,
            offset,
            codes,
            links,
            offsets,
            levels,
            entry,
            top,
            row_map,
            mask,
            unindexed,
            starts,
            addresses,
            euclidean,
            effort,
            depth,
            candidate_window,
            enough,
            code,
            pool,
            seen,
            np.uint8(used),
            waiting,
            rows[number],
            scores[number],
        )
    return used


_ANSWERS = (
    _of(types.int64, 2, changes=True),
    _of(types.float32, 2, changes=True),
    _of(types.int64, changes=True),
)
search_many = numba.njit(
    types.int64(_of(types.float32, 2), *_CODES, *_GRAPH, *_REQUEST, *_SCRATCH, *_ANSWERS),
    **_OPTIONS,
)(_search_many)
propose = numba.njit(
    types.int64(
        *(_of(types.float32, 2), *_CODES, *_GRAPH, _of(types.int32), types.int64),  # places, effort
        *(
            *_POOL,
            _of(types.uint8, changes=True),
            _of(types.int32, changes=True),
            _of(types.int64, 2, changes=True),
        ),
    ),
    **_OPTIONS,
)(_propose)


# -- new nodes -------------------------------------------------------------------------------------------------------------


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
            if (
                np.int64(_squared_distance(codes, out[place], code, blocks)) * LONGER
                < distance * 256
            ):
                diverse = False
                break
        if diverse:
            out[kept] = candidate
            kept += 1
            if kept == width:
                break
    return kept


def _find(
    codes: Any,
    links: Any,
    offsets: Any,
    levels: Any,
    level: Any,
    entry: Any,
    top: Any,
    nodes: Any,
    effort: Any,
    chosen: Any,
    counts: Any,
    code: Any,
    pool: Any,
    seen: Any,
    mark: Any,
    waiting: Any,
) -> Any:
    """Neighbours on a level for new nodes, which nothing links to yet, into the rows of `chosen` and their `counts`. The last
    mark used."""
    width: Any = levels[level + 1] - levels[level]
    used: Any = np.int64(mark)
    for number in range(nodes.shape[0]):
        used = _next_mark(seen, used)
        _load(codes, nodes[number], code)
        found, _ = _reach(
            codes,
            links,
            offsets,
            levels,
            level,
            entry,
            top,
            code,
            effort,
            pool,
            seen,
            np.uint8(used),
            waiting,
        )
        counts[number] = _select(
            codes, pool[CHUNK:], found, nodes[number], width, chosen[number], code
        )
    return used


def _link(links: Any, offsets: Any, skip: Any, nodes: Any, chosen: Any, counts: Any) -> None:
    """Link new nodes to the neighbours chosen."""
    for number in range(nodes.shape[0]):
        first = offsets[nodes[number]] + skip
        for place in range(counts[number]):
            links[first + place] = chosen[number, place]


def _link_back(
    codes: Any,
    links: Any,
    offsets: Any,
    skip: Any,
    width: Any,
    targets: Any,
    firsts: Any,
    sources: Any,
    code: Any,
    pool: Any,
    chosen: Any,
) -> None:
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


_GROWING = (
    _of(types.uint8, 2),
    _of(types.int32, changes=True),
    _of(types.int64),
)  # codes, links, offsets
find = numba.njit(
    types.int64(
        *(
            *_GROWING,
            _of(types.int64),
            types.int64,
            types.int64,
            types.int64,
            _of(types.int32),
            types.int64,
        ),
        *(_of(types.int32, 2, changes=True), _of(types.int64, changes=True), *_POOL),
        *(_of(types.uint8, changes=True), types.int64, _of(types.int32, changes=True)),
    ),
    **_OPTIONS,
)(_find)
link = numba.njit(
    types.void(*_GROWING[1:], types.int64, _of(types.int32), _of(types.int32, 2), _of(types.int64)),
    **_OPTIONS,
)(_link)
link_back = numba.njit(
    types.void(
        *(
            *_GROWING,
            types.int64,
            types.int64,
            _of(types.int32),
            _of(types.int64),
            _of(types.int32),
        ),
        *(*_POOL, _of(types.int32, changes=True)),
    ),
    **_OPTIONS,
)(_link_back)
