"""Compiled: which neighbors of a node may be near a query, by the codes beside the node.

The same as in `neighbor_codes.py`, bit by bit, so nothing here is compiled with fast math.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from vecsearch.index.kernels.intrinsics import prefetch_row
from vecsearch.index.kernels.neighbor_codes import GROUP, MARGIN, RADIX, ROUNDS, SLOTS, UNIT
from vecsearch.index.kernels.neighbor_intrinsics import lowest_bit, worth_mask

ZERO = np.int16(128)  # what stands for 0 in a code
HALF_BIT = np.int64(1 << 23)
strict = numba.njit(nogil=True, boundscheck=False, fastmath=False)


@strict
def prepare(code: Any, scratch: Any) -> None:
    """Rotate the query's code, and write its table."""
    turned, room = scratch.turned[0], scratch.turned[1]
    for place in range(code.shape[0]):
        turned[place] = np.float32(code[place] - ZERO)
    _rotate(turned, room)
    _write_table(turned, scratch.table, scratch.scale)


@strict
def _rotate(values: Any, room: Any) -> None:
    dim = values.shape[0]
    width = dim // RADIX
    for turn in range(ROUNDS):
        for place in range(dim):
            source = place
            if turn % 2 == 0:
                source = place % width * RADIX + place // width
            mixed = np.uint32(place + turn * dim + 1) * np.uint32(2654435761)
            sign = np.float32(0.25) if mixed >> np.uint32(16) & np.uint32(1) else np.float32(-0.25)
            room[place] = values[source] * sign
        half = 1
        while half < RADIX:
            for first in range(0, RADIX, 2 * half):
                for row in range(first, first + half):
                    above, below = row * width, (row + half) * width
                    for place in range(width):
                        one, other = room[above + place], room[below + place]
                        room[above + place] = one + other
                        room[below + place] = one - other
            half *= 2
        values[:] = room


@strict
def _write_table(turned: Any, table: Any, scale: Any) -> None:
    longest, total = np.int32(1), np.int64(0)
    for first in range(0, turned.shape[0], GROUP):
        length = np.int32(0)
        for place in range(first, first + GROUP):
            length += np.int32(abs(turned[place]) * np.float32(UNIT))
        longest = max(longest, length)
        total += length
    inverse = np.uint32(np.int64(255 << 24) // (2 * np.int64(longest)))
    for first in range(0, turned.shape[0], GROUP):
        a = np.int32(turned[first] * np.float32(UNIT))
        b = np.int32(turned[first + 1] * np.float32(UNIT))
        c = np.int32(turned[first + 2] * np.float32(UNIT))
        d = np.int32(turned[first + 3] * np.float32(UNIT))
        length = abs(a) + abs(b) + abs(c) + abs(d)
        for entry in range(16):
            value = length - a - b - c - d
            value += 2 * (entry & 1) * a + (entry & 2) * b
            value += (entry >> 1 & 2) * c + (entry >> 2 & 2) * d
            scaled = np.uint32(value) * inverse + np.uint32(HALF_BIT)
            table[4 * first + entry] = np.uint8(np.uint32(scaled) >> np.uint32(24))
    scale[0] = np.float32(2.0 * np.float64(longest) / (255.0 * UNIT))
    scale[1] = np.float32(-np.float64(total) / UNIT)


@strict
def list_worth(codes: Any, graph: Any, key: Any, farthest: Any, mark: Any, scratch: Any) -> Any:
    """List in `waiting` the neighbors of a node that may be nearer than `farthest`: how many.

    key: Of the node, which holds the query's distance from it.
    """
    node, distance = (key & 0xFFFFFFFF) >> 1, key >> 32
    near, seen, waiting = graph.near, scratch.seen, scratch.waiting
    tables = codes.shape[1] // GROUP
    size = 16 * tables + 8 * SLOTS
    margin = scratch.scale[1] + np.float32(MARGIN * np.sqrt(np.float64(distance)))
    first, new = graph.offsets[node], 0
    for part in range(near.shape[1] // size):
        mask = worth_mask(
            near.ctypes.data + node * near.shape[1] + part * size,
            scratch.table.ctypes.data,
            tables,
            np.float32(distance),
            scratch.scale[0],
            margin,
            np.float32(farthest),
        )
        while mask:
            other = graph.links[first + part * SLOTS + lowest_bit(mask)]
            mask &= mask - 1
            if other >= 0 and seen[other] != mark:
                seen[other] = mark
                waiting[new] = other
                new += 1
                prefetch_row(codes, other, codes.shape[1])
    return new
