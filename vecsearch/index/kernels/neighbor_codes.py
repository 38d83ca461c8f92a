"""Codes of one bit a component for the neighbors of each node, stored together.

A search of a graph compares the neighbors of each node it visits, and few of them come into its
pool. The others need not be looked at: an estimate of their distance suffices, and the estimates
of 32 neighbors take one read of memory and a few dozen instructions. The code is that of RaBitQ
(Gao and Long, arXiv:2405.12497), its place beside the node that of SymphonyQG (arXiv:2411.12229).

With c the code of the node, x that of a neighbor and q that of the query, all rotated, and s the
signs of x - c,

    |q - x|² = |q - c|² + |x - c|² - 2 <q - c, x - c>,
    <q - c, x - c> is estimated by |x - c|² / <s, x - c> · (<s, q> - <s, c>).

What does not depend on the query is stored: `shift` = |x - c|² + factor <s, c>, and `factor` =
2 |x - c|² / <s, x - c>. <s, q> is summed from a table with 16 entries of one byte for each four
components. All is integers or float32 in a fixed order, so that compiled code and numpy leave out
the same neighbors.

A node has blocks of 32 slots, in the order of its links. A block holds, for each four components,
16 bytes: the lower half of byte j is the code of slot `SLOTS[j]`, the upper half that of the slot
16 further. Then follow 32 shifts and 32 factors, float32; a shift is infinite without a neighbor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors

SLOTS = 32  # neighbors in a block
GROUP = 4  # components that one lookup takes
ORDER = np.array([byte % 2 * 8 + byte // 2 for byte in range(16)])
RADIX = 16  # values that one round of the rotation mixes
ROUNDS = 3
UNIT = 4**ROUNDS  # rotated codes are whole multiples of one part in so many
MARGIN = 0.3  # a neighbor may seem so many times its standard error too far
BLOCK_NODES = 512  # whose blocks are made at a time
Bytes = npt.NDArray[np.uint8]
Nodes = npt.NDArray[np.integer]


class Maker(NamedTuple):
    """What makes blocks: `rotated_codes` and `write_blocks`, or the same compiled."""

    rotate: Callable[[Bytes], Vectors]
    write: Callable[[Vectors, Vectors, npt.NDArray[np.int64], Bytes], None]


def block_bytes(dim: int) -> int:
    """Bytes of a block of codes with `dim` components."""
    return dim * SLOTS // 8 + 2 * 4 * SLOTS


def coded_bytes(dim: int, degree: int) -> int:
    """Bytes of all blocks of a node with 2 * `degree` links on the lowest level."""
    return 2 * degree // SLOTS * block_bytes(dim)


def rotation_signs(dim: int) -> Vectors:
    """The signs that each round of the rotation gives its values, times 1/4: (ROUNDS, dim).

    Then a Hadamard transform mixes sixteen values each.
    """
    number = np.arange(ROUNDS * dim, dtype=np.int64) + 1
    mixed = number * 2654435761 % 2**32
    return np.where(mixed >> 16 & 1, 0.25, -0.25).astype(np.float32).reshape(ROUNDS, dim)


def rotated(codes: Vectors) -> Vectors:
    """Codes of signed whole numbers, float32 (n, dim), rotated. Exact."""
    n, dim = codes.shape
    values = codes.astype(np.float32)
    for turn, signs in enumerate(rotation_signs(dim)):
        if turn % 2 == 0:  # values that stood together; in the other rounds those that stood apart
            values = values.reshape(n, -1, RADIX).swapaxes(1, 2).reshape(n, dim)
        mixed = (values * signs).reshape(n, RADIX, dim // RADIX)
        half = 1
        while half < RADIX:
            pairs = mixed.reshape(n, RADIX // (2 * half), 2, half, -1)
            sums = pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]
            mixed = np.stack(sums, axis=2)
            half *= 2
        values = mixed.reshape(n, dim)
    return values


def write_codes(
    codes: Bytes, nodes: Nodes, links: npt.NDArray[np.int32], blocks: Bytes, maker: Maker
) -> None:
    """Write the blocks of some nodes.

    Args:
        codes: Of all nodes, uint8 (n, dim); 128 stands for 0.
        nodes: int (m,).
        links: Theirs, int32 (m, a multiple of 32), -1 for none.
        blocks: Where they are written, uint8 (m, bytes).
        maker: What computes them: `NUMPY`, or the same compiled.
    """
    count, parts = len(nodes), links.shape[1] // SLOTS
    # The neighbors of some nodes are neighbors of others; each is rotated once.
    used, places = np.unique(np.maximum(links, 0), return_inverse=True)
    slots = np.where(links < 0, -1, places.reshape(links.shape)).reshape(count, parts, SLOTS)
    written = blocks.reshape(count, parts, block_bytes(codes.shape[1]))
    maker.write(maker.rotate(codes[nodes]), maker.rotate(codes[used]), slots, written)


def rotated_codes(codes: Bytes) -> Vectors:
    """Codes in FAISS's form, uint8 (n, dim), rotated: float32 (n, dim)."""
    return rotated(codes.astype(np.float32) - np.float32(128))


def write_blocks(
    nodes: Vectors, neighbors: Vectors, slots: npt.NDArray[np.int64], blocks: Bytes
) -> None:
    """Write blocks, uint8 (n, parts, bytes). All sums are exact, in any order.

    nodes: (n, dim). neighbors: (m, dim). slots: places among these, (n, parts, 32), -1 for none.
    """
    dim, empty = nodes.shape[1], slots < 0
    away = neighbors[np.maximum(slots, 0)] - nodes[:, None, None]
    plus = away >= 0
    square = np.einsum("npsd,npsd->nps", away, away, dtype=np.float64)
    product = np.abs(away).sum(axis=3, dtype=np.float64)
    factor = 2 * square / np.maximum(product, 1e-30)
    along = np.where(plus, nodes[:, None, None], -nodes[:, None, None])
    shift = square + factor * along.sum(axis=3, dtype=np.float64)
    bits = plus.reshape(*plus.shape[:3], dim // GROUP, GROUP)
    halves = np.packbits(bits, axis=4, bitorder="little")[..., 0]
    packed = halves[:, :, ORDER] | halves[:, :, ORDER + SLOTS // 2] << 4
    size = dim * SLOTS // 8
    blocks[..., :size] = packed.swapaxes(2, 3).reshape(*packed.shape[:2], size)
    floats = np.stack([np.where(empty, np.inf, shift), factor], axis=2).astype("<f4")
    blocks[..., size:] = floats.reshape(*floats.shape[:2], 2 * SLOTS).view(np.uint8)


NUMPY = Maker(rotated_codes, write_blocks)


def table_of(turned: Vectors) -> tuple[npt.NDArray[np.int64], np.float32, np.float32]:
    """A rotated query's table, its entries' unit, and what stands for an entry of 0.

    The table has 16 entries from 0 to 255 for each four components, int64 (dim / 4, 16).
    """
    whole = np.rint(turned * np.float32(UNIT)).astype(np.int64).reshape(-1, GROUP)
    signs = np.where(np.arange(16)[:, None] >> np.arange(GROUP) & 1, 1, -1)
    lengths = np.abs(whole).sum(axis=1)
    longest = max(int(lengths.max()), 1)
    inverse = np.float32(255.0 / (2.0 * longest))
    values = (whole @ signs.T + lengths[:, None]).astype(np.float32)
    table = (values * inverse + np.float32(0.5)).astype(np.int64)
    step = np.float32(2.0 * longest / (255.0 * UNIT))
    return table, step, np.float32(-float(lengths.sum()) / UNIT)


def worth(
    block: Bytes,
    table: npt.NDArray[np.int64],
    step: np.float32,
    base: np.float32,
    distance: int,
    limit: int,
) -> npt.NDArray[np.bool_]:
    """Which slots of a block may be nearer to the query than `limit`: bool (32,).

    distance: Of the query from the node.
    """
    size = len(table) * 16
    packed = block[:size].reshape(len(table), 16)
    codes = np.empty((len(table), SLOTS), np.int64)
    codes[:, ORDER], codes[:, ORDER + SLOTS // 2] = packed & 15, packed >> 4
    sums = np.take_along_axis(table, codes, axis=1).sum(axis=0).astype(np.float32)
    shift, factor = block[size:].view("<f4").reshape(2, SLOTS)
    margin = base + np.float32(MARGIN * np.sqrt(float(distance)))
    estimate = (np.float32(distance) + shift) - factor * (sums * step + margin)
    return np.asarray(estimate < np.float32(limit))
