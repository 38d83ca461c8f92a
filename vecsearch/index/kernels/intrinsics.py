"""What the compiled kernels need of the processor and numba lacks, written in LLVM's terms.

Distances of codes, sums in a fixed order, prefetching, and the insertion into a sorted array.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from vecsearch.index.kernels.arguments import CHUNK, LANES

BLOCK = 32  # code bytes compared at a time; a code is a whole number of blocks
CACHE_LINE = 64


@intrinsic
def squared_distance(_context: Any, codes: Any, row: Any, query: Any, blocks: Any) -> Any:
    """Σ (codes[row, i] - query[i])² as int32; codes uint8 (n, 32 * blocks), query int16.

    Written as vectors of 16-bit differences that are multiplied and added in pairs: compilers turn
    that into one instruction (pmaddwd on x86), which they do not find in a plain loop.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bytes_, shorts, wide = (ir.VectorType(ir.IntType(bits), BLOCK) for bits in (8, 16, 32))
        half = ir.VectorType(ir.IntType(32), BLOCK // 2)
        code = _row_address(context, builder, signature.args[0], arguments[0], arguments[1])
        target = context.make_array(signature.args[2])(context, builder, arguments[2]).data
        total = cgutils.alloca_once_value(builder, ir.Constant(half, [0] * (BLOCK // 2)))
        even, odd = (ir.Constant(half, list(range(first, BLOCK, 2))) for first in (0, 1))
        with cgutils.for_range(builder, arguments[3]) as loop:
            start = builder.mul(loop.index, ir.Constant(loop.index.type, BLOCK))
            left = builder.load(
                builder.bitcast(builder.gep(code, [start]), bytes_.as_pointer()), align=1
            )
            right = builder.load(
                builder.bitcast(builder.gep(target, [start]), shorts.as_pointer()), align=2
            )
            difference = builder.sext(builder.sub(builder.zext(left, shorts), right), wide)
            square = builder.mul(difference, difference)
            undefined = ir.Constant(wide, ir.Undefined)
            pairs = builder.add(
                builder.shuffle_vector(square, undefined, even),
                builder.shuffle_vector(square, undefined, odd),
            )
            builder.store(builder.add(builder.load(total), pairs), total)
        name = f"llvm.vector.reduce.add.v{BLOCK // 2}i32"
        add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.IntType(32), [half]), name
        )
        return builder.call(add, [builder.load(total)])

    return types.int32(codes, row, query, blocks), generate


@intrinsic
def prefetch_row(_context: Any, array: Any, row: Any, size: Any) -> Any:
    """Prefetch the first `size` bytes of a row of a C-contiguous array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _prefetch(
            builder,
            _row_address(context, builder, signature.args[0], arguments[0], arguments[1]),
            arguments[2],
        )
        return context.get_dummy_value()

    return types.void(array, row, size), generate


@intrinsic
def prefetch(_context: Any, address: Any, size: Any) -> Any:
    """Prefetch `size` bytes from an address on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _prefetch(builder, builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()), arguments[1])
        return context.get_dummy_value()

    return types.void(address, size), generate


@intrinsic
def load_uint32(_context: Any, address: Any, at: Any) -> Any:
    """The uint32 of a number in an array at an address, as int64."""
    return types.int64(types.int64, types.int64), _loading(ir.IntType(32))


@intrinsic
def load_uint16(_context: Any, address: Any, at: Any) -> Any:
    """The uint16 of a number in an array at an address, as int64."""
    return types.int64(types.int64, types.int64), _loading(ir.IntType(16))


@intrinsic
def load_byte(_context: Any, address: Any, at: Any) -> Any:
    """The uint8 of a number in an array at an address, as int64."""
    return types.int64(types.int64, types.int64), _loading(ir.IntType(8))


@intrinsic
def load_float64(_context: Any, address: Any, at: Any) -> Any:
    """The float64 of a number in an array at an address."""
    return types.float64(types.int64, types.int64), _loading(ir.DoubleType())


@intrinsic
def load_float32(_context: Any, address: Any, at: Any) -> Any:
    """The float32 of a number in an array at an address, as float64."""
    return types.float64(types.int64, types.int64), _loading(ir.FloatType())


@intrinsic
def sum_of_products(_context: Any, left: Any, right: Any, count: Any) -> Any:
    """Σ left[i] * right[i] of float32 at two addresses, in float64, in the order of `scores.py`."""
    return types.float64(left, right, count), _lane_sum(_product)


@intrinsic
def sum_of_squares(_context: Any, left: Any, right: Any, count: Any) -> Any:
    """Σ (left[i] - right[i])² of float32 at two addresses, as `sum_of_products`."""
    return types.float64(left, right, count), _lane_sum(_squared_difference)


@intrinsic
def insert_into_chunk(_context: Any, pool: Any, first: Any, key: Any) -> Any:
    """Insert a key into the sorted pool[first : first + CHUNK]; the last entry falls out.

    After an insertion into a sorted array, each entry is max(left neighbor, min(itself, key)). That
    also holds if the key belongs further to the left: then the chunk moves by one.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, many = ir.IntType(64), ir.VectorType(ir.IntType(64), CHUNK)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]])
        left = builder.gep(place, [ir.Constant(number, -1)])
        entries, neighbors = (
            builder.load(builder.bitcast(start, many.as_pointer()), align=8)
            for start in (place, left)
        )
        undefined, lanes = ir.Constant(many, ir.Undefined), ir.VectorType(ir.IntType(32), CHUNK)
        key = builder.insert_element(undefined, arguments[2], ir.Constant(ir.IntType(32), 0))
        key = builder.shuffle_vector(key, undefined, ir.Constant(lanes, [0] * CHUNK))
        result = builder.select(builder.icmp_signed("<", entries, key), entries, key)
        result = builder.select(builder.icmp_signed(">", neighbors, result), neighbors, result)
        builder.store(result, builder.bitcast(place, many.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(pool, types.int64, types.int64), generate


def _loading(kind: Any) -> Any:
    """Code that loads a number of a kind, as wide as can be: (address, place) -> number."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        start = builder.inttoptr(arguments[0], kind.as_pointer())
        value = builder.load(builder.gep(start, [arguments[1]]))
        if isinstance(kind, ir.IntType):
            return builder.zext(value, ir.IntType(64))
        return builder.fpext(value, ir.DoubleType()) if isinstance(kind, ir.FloatType) else value

    return generate


def _product(builder: Any, left: Any, right: Any) -> Any:
    return builder.fmul(left, right)


def _squared_difference(builder: Any, left: Any, right: Any) -> Any:
    difference = builder.fsub(left, right)
    return builder.fmul(difference, difference)


def _lane_sum(term: Any) -> Any:
    """Code that sums `term` over two arrays: (address, address, int64 count) -> float64."""
    floats, doubles = (ir.VectorType(kind, LANES) for kind in (ir.FloatType(), ir.DoubleType()))
    number = ir.IntType(64)
    zeros = ir.Constant(floats, [0.0] * LANES)

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        sources = [builder.inttoptr(at, ir.FloatType().as_pointer()) for at in arguments[:2]]
        count, lanes = arguments[2], ir.Constant(number, LANES)
        total = cgutils.alloca_once_value(builder, ir.Constant(doubles, [0.0] * LANES))

        def add(parts: list[Any]) -> None:
            wide = [builder.fpext(part, doubles) for part in parts]
            builder.store(builder.fadd(builder.load(total), term(builder, *wide)), total)

        with cgutils.for_range(builder, builder.udiv(count, lanes)) as loop:
            start = builder.mul(loop.index, lanes)
            starts = [builder.gep(source, [start]) for source in sources]
            add([builder.load(builder.bitcast(at, floats.as_pointer()), align=4) for at in starts])
        rest = builder.urem(count, lanes)
        with builder.if_then(builder.icmp_unsigned(">", rest, ir.Constant(number, 0))):
            tails = [cgutils.alloca_once_value(builder, zeros) for _ in sources]
            for tail, source in zip(tails, sources, strict=True):
                builder.store(zeros, tail)
                places = builder.bitcast(tail, ir.FloatType().as_pointer())
                with cgutils.for_range(builder, rest) as loop:
                    at = builder.add(builder.sub(count, rest), loop.index)
                    value = builder.load(builder.gep(source, [at]))
                    builder.store(value, builder.gep(places, [loop.index]))
            add([builder.load(tail) for tail in tails])
        return _halved(builder, builder.load(total))

    return generate


def _halved(builder: Any, lanes: Any) -> Any:
    """The sum of a vector's lanes: its two halves are added until one number is left."""
    size = lanes.type.count
    while size > 1:
        size //= 2
        undefined, index = (
            ir.Constant(lanes.type, ir.Undefined),
            ir.VectorType(ir.IntType(32), size),
        )
        first, second = (
            builder.shuffle_vector(lanes, undefined, ir.Constant(index, list(part)))
            for part in (range(size), range(size, 2 * size))
        )
        lanes = builder.fadd(first, second)
    return builder.extract_element(lanes, ir.Constant(ir.IntType(32), 0))


def _row_address(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    struct = context.make_array(kind)(context, builder, array)
    stride = cgutils.unpack_tuple(builder, struct.strides)[0]
    if row.type.width < 64:
        row = builder.sext(row, ir.IntType(64))
    return builder.gep(
        builder.bitcast(struct.data, ir.IntType(8).as_pointer()), [builder.mul(stride, row)]
    )


def _prefetch(builder: Any, start: Any, size: Any) -> None:
    pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    read, locality, data = (ir.Constant(number, value) for value in (0, 3, 1))
    line = ir.Constant(size.type, CACHE_LINE - 1)
    into_line = builder.and_(builder.ptrtoint(start, size.type), line)
    span = builder.add(builder.add(size, into_line), line)
    lines = builder.udiv(span, ir.Constant(size.type, CACHE_LINE))
    with cgutils.for_range(builder, lines) as loop:
        place = builder.mul(loop.index, ir.Constant(loop.index.type, CACHE_LINE))
        builder.call(function, [builder.gep(start, [place]), read, locality, data])
