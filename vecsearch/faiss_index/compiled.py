"""One query through a FAISS graph of signed bytes, compiled: projection, walk and re-scoring in one call without Python.

The graph and its codes are FAISS's own, read where they lie; the walk visits what FAISS's search visits (Malkov and Yashunin,
arXiv:1603.09320, algorithm 5) and finds the same rows but for ties. What makes it faster: codes are fetched ahead while others
are compared, which FAISS does not do for codes of bytes; and nothing is handed back and forth between small array
operations, which cost as much as the walk itself.

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
            left = builder.load(builder.bitcast(builder.gep(code, [at]), bytes_.as_pointer()), align=1)
            right = builder.load(builder.bitcast(builder.gep(asked, [at]), shorts.as_pointer()), align=2)
            difference = builder.sext(builder.sub(builder.zext(left, shorts), right), wide)
            square = builder.mul(difference, difference)
            nothing = ir.Constant(wide, ir.Undefined)
            pairs = builder.add(builder.shuffle_vector(square, nothing, even), builder.shuffle_vector(square, nothing, odd))
            builder.store(builder.add(builder.load(total), pairs), total)
        name = f"llvm.vector.reduce.add.v{BLOCK // 2}i32"
        add = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), [half]), name)
        return builder.call(add, [builder.load(total)])

    return types.int32(codes, row, query, blocks), generate


@intrinsic
def _fetch_row(_context: Any, array: Any, row: Any, size: Any) -> Any:
    """Ask for the first `size` bytes of a row of a C-contiguous array, without waiting for them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _prefetch(builder, _row_address(context, builder, signature.args[0], arguments[0], arguments[1]), arguments[2])
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


def _row_address(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    made = context.make_array(kind)(context, builder, array)
    stride = cgutils.unpack_tuple(builder, made.strides)[0]
    if row.type.width < 64:
        row = builder.sext(row, ir.IntType(64))
    return builder.gep(builder.bitcast(made.data, ir.IntType(8).as_pointer()), [builder.mul(stride, row)])


def _prefetch(builder: Any, start: Any, size: Any) -> None:
    pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
    prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    read, keep, data = (ir.Constant(number, value) for value in (0, 3, 1))
    lines = builder.udiv(builder.add(size, ir.Constant(size.type, CACHE_LINE - 1)), ir.Constant(size.type, CACHE_LINE))
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
def _insert(distances: Any, nodes: Any, count: Any, most: Any, distance: Any, node: Any) -> Any:
    """Put a node into the pool, which holds the nearest `most`, nearest first: its place, or `most` where it has none."""
    place = count
    if count == most:
        if distance >= distances[most - 1]:
            return most
        place = most - 1
    while place > 0 and distances[place - 1] > distance:
        distances[place] = distances[place - 1]
        nodes[place] = nodes[place - 1]
        place -= 1
    distances[place] = distance
    nodes[place] = node
    return place


@_inline
def _descend(codes: Any, links: Any, offsets: Any, levels: Any, entry: Any, top: Any, query: Any) -> Any:
    """From the entry point down to the lowest level, always to the nearest neighbour."""
    blocks = query.shape[0] // BLOCK
    node, nearest = entry, _squared_distance(codes, entry, query, blocks)
    for level in range(top, 0, -1):
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
    codes: Any, links: Any, offsets: Any, width: Any, start: Any, query: Any, most: Any,
    distances: Any, nodes: Any, seen: Any, mark: Any, waiting: Any,
) -> Any:  # fmt: skip
    """Fill the pool with the `most` nearest nodes that can be reached; how many they are. A node in the pool is written as
    -1 - node once its neighbours were looked at."""
    blocks = query.shape[0] // BLOCK
    distances[0], nodes[0] = _squared_distance(codes, start, query, blocks), start
    seen[start] = mark
    count, at = 1, 0
    while at < count:
        node = nodes[at]
        if node < 0:
            at += 1
            continue
        nodes[at] = -1 - node
        new = 0
        first = offsets[node]
        for place in range(first, first + width):
            other = links[place]
            if other < 0:
                break
            if seen[other] != mark:
                seen[other] = mark
                waiting[new] = other
                new += 1
                _fetch_row(codes, other, query.shape[0])
        nearest = at + 1
        for number in range(new):
            other = waiting[number]
            place = _insert(distances, nodes, count, most, _squared_distance(codes, other, query, blocks), other)
            if place < most and count < most:
                count += 1
            nearest = min(nearest, place)
        at = nearest
        for ahead in range(at, min(at + 2, count)):
            if nodes[ahead] >= 0:
                _fetch_row(links, offsets[nodes[ahead]], 4 * width)
    return count


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
    while place > 0 and (scores[place - 1] < score or (scores[place - 1] == score and rows[place - 1] > row)):
        scores[place], rows[place] = scores[place - 1], rows[place - 1]
        place -= 1
    scores[place], rows[place] = score, row
    return min(count + 1, rows.shape[0])


def _search(
    query: Any, matrix: Any, offset: Any, codes: Any, links: Any, offsets: Any, levels: Any, entry: Any, top: Any,
    places: Any, mask: Any, fresh: Any, starts: Any, addresses: Any, euclidean: Any,
    effort: Any, depth: Any, reach: Any, enough: Any,
    code: Any, distances: Any, nodes: Any, seen: Any, mark: Any, waiting: Any, rows: Any, scores: Any,
) -> Any:  # fmt: skip
    """The best rows for one query, into `rows` and `scores`: how many, or -1 where fewer than `enough` of the first `reach`
    candidates match. The arguments are those of `Walk.search`, and its scratch."""
    _project(query, matrix, offset, code)
    start = _descend(codes, links, offsets, levels, entry, top, code)
    most = max(effort, depth)
    count = _walk(codes, links, offsets, levels[1], start, code, most, distances, nodes, seen, mark, waiting)
    dim = query.shape[0]
    matching = early = 0
    for number in range(min(depth, count)):
        row = places[-1 - nodes[number]]
        if row >= 0 and (mask.shape[0] == 0 or mask[row]):
            nodes[matching] = row
            matching += 1
            early += number < reach
            _fetch(_address(row, starts, addresses, dim), 4 * dim)
    if early < enough:
        return -1
    found = 0
    for number in range(matching):
        row = np.int64(nodes[number])
        found = _keep(rows, scores, found, row, _score(_address(row, starts, addresses, dim), query, euclidean))
    for row in fresh:
        found = _keep(rows, scores, found, row, _score(_address(row, starts, addresses, dim), query, euclidean))
    return found


def _scan(
    query: Any, matrix: Any, offset: Any, codes: Any, listed: Any,
    places: Any, fresh: Any, starts: Any, addresses: Any, euclidean: Any,
    depth: Any, code: Any, distances: Any, nodes: Any, rows: Any, scores: Any,
) -> Any:  # fmt: skip
    """The best of listed nodes for one query, into `rows` and `scores`: how many. Their codes choose `depth` of them."""
    _project(query, matrix, offset, code)
    blocks, dim = code.shape[0] // BLOCK, query.shape[0]
    count = 0
    for number in range(listed.shape[0]):
        if number + AHEAD < listed.shape[0]:
            _fetch_row(codes, listed[number + AHEAD], code.shape[0])
        node = listed[number]
        place = _insert(distances, nodes, count, depth, _squared_distance(codes, node, code, blocks), node)
        if place < depth and count < depth:
            count += 1
    for number in range(count):
        nodes[number] = places[nodes[number]]
        _fetch(_address(nodes[number], starts, addresses, dim), 4 * dim)
    found = 0
    for number in range(count):
        row = np.int64(nodes[number])
        found = _keep(rows, scores, found, row, _score(_address(row, starts, addresses, dim), query, euclidean))
    for row in fresh:
        found = _keep(rows, scores, found, row, _score(_address(row, starts, addresses, dim), query, euclidean))
    return found


def _of(kind: Any, dimensions: int = 1, *, changes: bool = False) -> Any:
    return types.Array(kind, dimensions, "C", readonly=not changes)


_MODEL = _of(types.float32), _of(types.float32, 2), _of(types.float32), _of(types.uint8, 2)  # query, matrix, offset, codes
_VECTORS = _of(types.int64), _of(types.int64), types.boolean  # starts, addresses, euclidean
_POOL = _of(types.int32, changes=True), _of(types.int32, changes=True)  # distances, nodes
_ANSWER = _of(types.int64, changes=True), _of(types.float32, changes=True)  # rows, scores
search = numba.njit(
    types.int64(
        *_MODEL,
        *(_of(types.int32), _of(types.int64), _of(types.int64), types.int64, types.int64),
        *(_of(types.int32), _of(types.boolean), _of(types.int64), *_VECTORS),
        *(types.int64, types.int64, types.int64, types.int64),
        *(_of(types.int16, changes=True), *_POOL, _of(types.uint8, changes=True), types.uint8, _of(types.int32, changes=True)),
        *_ANSWER,
    ),
    **_OPTIONS,
)(_search)
scan = numba.njit(
    types.int64(
        *_MODEL,
        *(_of(types.int32), _of(types.int32), _of(types.int64), *_VECTORS),
        *(types.int64, _of(types.int16, changes=True), *_POOL, *_ANSWER),
    ),
    **_OPTIONS,
)(_scan)


def _search_many(
    queries: Any, matrix: Any, offset: Any, codes: Any, links: Any, offsets: Any, levels: Any, entry: Any, top: Any,
    places: Any, mask: Any, fresh: Any, starts: Any, addresses: Any, euclidean: Any,
    effort: Any, depth: Any, reach: Any, enough: Any,
    code: Any, distances: Any, nodes: Any, seen: Any, mark: Any, waiting: Any, rows: Any, scores: Any, counts: Any,
) -> Any:  # fmt: skip
    """`search` for one query after the other; what it returns goes into `counts`. The last mark used."""
    used: Any = np.int64(mark)
    for number in range(queries.shape[0]):
        used += 1
        if used > FULL:
            seen[:] = 0
            used = 1
        counts[number] = search(
            queries[number], matrix, offset, codes, links, offsets, levels, entry, top,
            places, mask, fresh, starts, addresses, euclidean, effort, depth, reach, enough,
            code, distances, nodes, seen, np.uint8(used), waiting, rows[number], scores[number],
        )  # fmt: skip
    return used


search_many = numba.njit(
    types.int64(
        *(_of(types.float32, 2), *_MODEL[1:]),
        *(_of(types.int32), _of(types.int64), _of(types.int64), types.int64, types.int64),
        *(_of(types.int32), _of(types.boolean), _of(types.int64), *_VECTORS),
        *(types.int64, types.int64, types.int64, types.int64),
        *(_of(types.int16, changes=True), *_POOL, _of(types.uint8, changes=True), types.uint8, _of(types.int32, changes=True)),
        *(_of(types.int64, 2, changes=True), _of(types.float32, 2, changes=True), _of(types.int64, changes=True)),
    ),
    **_OPTIONS,
)(_search_many)
