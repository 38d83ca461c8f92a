"""Compiled: makes the codes of neighbors beside a node, the same bytes as `neighbor_codes.NUMPY`.

Rotated codes are whole multiples of 1/64, so that sums of them and of their squares in float64 are
exact in any order. Only what follows from the sums is computed without fast math.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

from vecsearch.common.arrays import Vectors
from vecsearch.index.kernels.compiled import EXACT, array_type, entry_point
from vecsearch.index.kernels.neighbor_codes import (
    GROUP,
    ORDER,
    SLOTS,
    Bytes,
    Maker,
    rotation_signs,
)
from vecsearch.index.kernels.numba_neighbors import rotate

HALF = SLOTS // 2
FLOAT_ROWS, BYTE_ROWS = array_type(types.float32, 2), array_type(types.uint8, 2)
fast = numba.njit(nogil=True, boundscheck=False, fastmath=True)
strict = numba.njit(nogil=True, boundscheck=False, fastmath=False)


@fast
def _sums(node: Any, other: Any) -> Any:
    """|x - c|², the sum of |x - c|, and <s, c>: exact."""
    square, product, along = 0.0, 0.0, 0.0
    for place in range(node.shape[0]):
        away = np.float64(other[place] - node[place])
        square += away * away
        product += abs(away)
        along += np.float64(node[place]) if away >= 0 else -np.float64(node[place])
    return square, product, along


@strict
def _rotate_all(codes: Any, signs: Any, turned: Any) -> None:
    room = np.empty(codes.shape[1], np.float32)
    for row in range(codes.shape[0]):
        for place in range(codes.shape[1]):
            turned[row, place] = np.float32(np.int32(codes[row, place]) - 128)
        rotate(turned[row], room, signs)


@strict
def _write_all(nodes: Any, neighbors: Any, slots: Any, packed: Any, floats: Any) -> None:
    groups = nodes.shape[1] // GROUP
    codes = np.empty((SLOTS, groups), np.uint8)
    for number in range(slots.shape[0]):
        for part in range(slots.shape[1]):
            for slot in range(SLOTS):
                place = slots[number, part, slot]
                node, other = nodes[number], neighbors[max(place, 0)]
                square, product, along = _sums(node, other)
                factor = 2 * square / max(product, 1e-30)
                shift = square + factor * along
                floats[number, part, slot] = np.float32(np.inf if place < 0 else shift)
                floats[number, part, SLOTS + slot] = np.float32(factor)
                for group in range(groups):
                    code = np.int64(0)
                    for bit in range(GROUP):
                        at = GROUP * group + bit
                        code |= np.int64(other[at] >= node[at]) << bit
                    codes[slot, group] = np.uint8(code)
            for group in range(groups):
                for byte in range(HALF):
                    low, high = codes[ORDER[byte], group], codes[ORDER[byte] + HALF, group]
                    packed[number, part, HALF * group + byte] = low | high << 4


_rotate_rows = entry_point(
    numba.njit(types.void(BYTE_ROWS, FLOAT_ROWS, FLOAT_ROWS), **EXACT)(_rotate_all.py_func)
)
_write_rows = entry_point(
    numba.njit(
        types.void(
            *(FLOAT_ROWS, FLOAT_ROWS, array_type(types.int64, 3)),
            *(array_type(types.uint8, 3), array_type(types.float32, 3)),
        ),
        **EXACT,
    )(_write_all.py_func)
)


def _rotated_codes(codes: Bytes) -> Vectors:
    turned = np.empty(codes.shape, np.float32)
    _rotate_rows(np.ascontiguousarray(codes), rotation_signs(codes.shape[1]), turned)
    return turned


def _write_blocks(nodes: Vectors, neighbors: Vectors, slots: Any, blocks: Bytes) -> None:
    size = nodes.shape[1] * SLOTS // 8
    packed = np.empty((*slots.shape[:2], size), np.uint8)
    floats = np.empty((*slots.shape[:2], 2 * SLOTS), np.float32)
    _write_rows(nodes, neighbors, np.ascontiguousarray(slots, np.int64), packed, floats)
    blocks[..., :size] = packed
    blocks[..., size:] = floats.astype("<f4", copy=False).view(np.uint8)


MAKER = Maker(_rotated_codes, _write_blocks)
