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
SIGNS = np.where(np.arange(16) >> np.arange(GROUP)[:, None] & 1, 1, -1).astype(np.float32)
strict = numba.njit(nogil=True, boundscheck=False, fastmath=False)


@strict
def prepare(code: Any, scratch: Any) -> None:
    """Rotate the query's code, and write its table."""
    turned, room = scratch.turned[0], scratch.turned[1]
    for place in range(code.shape[0]):
        turned[place] = np.float32(code[place] - ZERO)
    rotate(turned, room, scratch.signs)
    _write_table(turned, scratch.table, scratch.scale)


@strict
def rotate(values: Any, room: Any, signs: Any) -> None:
    """`neighbor_codes.rotated`, in place."""
    width = values.shape[0] // RADIX
    for turn in range(ROUNDS):
        if turn % 2 == 0:
            for row in range(RADIX):
                for place in range(width):
                    room[row * width + place] = values[place * RADIX + row]
        else:
            room[:] = values
        for place in range(values.shape[0]):
            values[place] = room[place] * signs[turn, place]
        half = 1
        while half < RADIX:
            for first in range(0, RADIX, 2 * half):
                above, below = first * width, (first + half) * width
                for place in range(half * width):
                    one, other = values[above + place], values[below + place]
                    values[above + place] = one + other
                    values[below + place] = one - other
            half *= 2


@strict
def _write_table(turned: Any, table: Any, scale: Any) -> None:
    longest, total = np.float32(1), np.float32(0)
    for place in range(turned.shape[0]):
        turned[place] = turned[place] * np.float32(UNIT)
    for first in range(0, turned.shape[0], GROUP):
        a, b, c, d = turned[first], turned[first + 1], turned[first + 2], turned[first + 3]
        length = abs(a) + abs(b) + abs(c) + abs(d)
        longest = max(longest, length)
        total += length
    inverse = np.float32(255.0 / (2.0 * np.float64(longest)))
    for first in range(0, turned.shape[0], GROUP):
        a, b, c, d = turned[first], turned[first + 1], turned[first + 2], turned[first + 3]
        length = abs(a) + abs(b) + abs(c) + abs(d)
        for entry in range(16):
            value = length + a * SIGNS[0, entry] + b * SIGNS[1, entry]
            value += c * SIGNS[2, entry] + d * SIGNS[3, entry]
            scaled = np.int32(value * inverse + np.float32(0.5))
            table[4 * first + entry] = np.uint8(scaled)
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
