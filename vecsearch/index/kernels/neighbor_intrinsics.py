"""The comparison of a query with the codes of 32 neighbors, written in LLVM's terms.

Tables of 16 bytes are looked up by the instruction that shuffles bytes, 16 to 64 at a time. A
processor without it looks up one byte after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

TABLE = 16  # bytes of a table, and of the codes it is looked up with
HALF = 16  # slots whose codes are the lower halves of bytes, and those of the upper halves
SHUFFLES = (
    ("+avx512bw", 64, "llvm.x86.avx512.pshuf.b.512"),
    ("+avx2", 32, "llvm.x86.avx2.pshuf.b"),
    ("+ssse3", 16, "llvm.x86.ssse3.pshuf.b.128"),
    ("+neon", 16, "llvm.aarch64.neon.tbl1.v16i8"),
)
BYTE, SHORT, INT, LONG = (ir.IntType(bits) for bits in (8, 16, 32, 64))
FLOATS = ir.VectorType(ir.FloatType(), HALF)


@intrinsic
def worth_mask(
    _context: Any,
    block: Any,
    table: Any,
    tables: Any,
    distance: Any,
    step: Any,
    margin: Any,
    limit: Any,
) -> Any:
    """As `neighbor_codes.worth`, which slots of the block at an address: a bit for each, int64.

    table: address of `tables` tables of 16 bytes. margin: what stands for an entry of 0, and the
    margin.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        block, table, tables, *numbers = arguments
        width, shuffle = _shuffle(builder, str(context.codegen().magic_tuple()))
        pointer = BYTE.as_pointer()
        codes, entries = builder.inttoptr(block, pointer), builder.inttoptr(table, pointer)
        size = builder.mul(tables, ir.Constant(LONG, TABLE))
        sums = _sums(builder, codes, entries, size, width, shuffle)
        floats = builder.bitcast(builder.gep(codes, [size]), ir.FloatType().as_pointer())
        distance, step, margin, limit = (_splat(builder, number) for number in numbers)
        result = ir.Constant(LONG, 0)
        for half, counted in enumerate(sums):
            shift, factor = (
                builder.load(
                    builder.bitcast(
                        builder.gep(floats, [ir.Constant(LONG, HALF * (2 * kind + half))]),
                        FLOATS.as_pointer(),
                    ),
                    align=4,
                )
                for kind in (0, 1)
            )
            along = builder.fadd(builder.fmul(counted, step), margin)
            estimate = builder.fsub(builder.fadd(distance, shift), builder.fmul(factor, along))
            near = builder.bitcast(builder.fcmp_ordered("<", estimate, limit), ir.IntType(HALF))
            bits = builder.shl(builder.zext(near, LONG), ir.Constant(LONG, HALF * half))
            result = builder.or_(result, bits)
        return result

    number, real = types.int64, types.float32
    return number(number, number, number, real, real, real, real), generate


@intrinsic
def lowest_bit(_context: Any, mask: Any) -> Any:
    """The place of the lowest bit that is set, of an int64 other than 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


def _sums(
    builder: Any, codes: Any, entries: Any, size: Any, width: int, shuffle: Callable[..., Any]
) -> tuple[Any, Any]:
    """The sums of the entries of each slot, as two vectors of float32."""
    many, pairs = ir.VectorType(BYTE, width), ir.VectorType(SHORT, width // 2)
    eight, low = _all(pairs, 8), _all(many, 15)
    totals = [cgutils.alloca_once_value(builder, _all(pairs, 0)) for _ in range(4)]
    for total in totals:
        builder.store(_all(pairs, 0), total)
    with cgutils.for_range(builder, builder.udiv(size, ir.Constant(LONG, width))) as loop:
        start = builder.mul(loop.index, ir.Constant(loop.index.type, width))
        code, table = (
            builder.load(builder.bitcast(builder.gep(base, [start]), many.as_pointer()), align=1)
            for base in (codes, entries)
        )
        upper = builder.lshr(builder.bitcast(code, pairs), _all(pairs, 4))
        for half, chosen in enumerate((code, builder.bitcast(upper, many))):
            found = builder.bitcast(shuffle(table, builder.and_(chosen, low)), pairs)
            # Whole pairs of bytes and their upper bytes: what is too much is taken off in the end.
            for part, value in enumerate((found, builder.lshr(found, eight))):
                total = totals[2 * half + part]
                builder.store(builder.add(builder.load(total), value), total)
    sums = []
    for half in range(2):
        whole, odd = (builder.load(total) for total in totals[2 * half : 2 * half + 2])
        even = builder.sub(whole, builder.shl(odd, eight))
        lanes = [_folded(builder, part) for part in (even, odd)]
        both = builder.shuffle_vector(*lanes, _index(range(HALF)))
        wide = builder.zext(both, ir.VectorType(INT, HALF))
        sums.append(builder.uitofp(wide, FLOATS))
    return sums[0], sums[1]


def _folded(builder: Any, value: Any) -> Any:
    """The sum of the groups of 8 in a vector of shorts."""
    undefined = ir.Constant(value.type, ir.Undefined)
    parts = [
        builder.shuffle_vector(value, undefined, _index(range(first, first + 8)))
        for first in range(0, value.type.count, 8)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = builder.add(total, part)
    return total


def _shuffle(builder: Any, processor: str) -> tuple[int, Callable[..., Any]]:
    """How many bytes are looked up at a time, and how."""
    known = [(width, name) for feature, width, name in SHUFFLES if feature in processor]
    if known:
        width, name = known[0]
        many = ir.VectorType(BYTE, width)
        kind = ir.FunctionType(many, [many, many])
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return width, lambda table, places: builder.call(function, [table, places])

    def one_by_one(table: Any, places: Any) -> Any:
        found = ir.Constant(table.type, ir.Undefined)
        for lane in range(TABLE):
            index = ir.Constant(INT, lane)
            place = builder.zext(builder.extract_element(places, index), INT)
            entry = builder.extract_element(table, place)
            found = builder.insert_element(found, entry, index)
        return found

    return TABLE, one_by_one


def _all(kind: Any, value: int) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _index(places: Any) -> Any:
    return ir.Constant(ir.VectorType(INT, len(places)), list(places))


def _splat(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(FLOATS, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(INT, 0))
    return builder.shuffle_vector(first, undefined, _index([0] * HALF))
