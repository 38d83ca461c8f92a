"""Find a row in a long list of postings without reading it.

The rows of a segment are cut into blocks of `2**shift` rows, about `PER_BLOCK` of which are in the
list. Its skips say how many rows of the list come before each block, so a row is looked for among
the few of its block.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LONG = 64  # rows of a list that are worth skips
PER_BLOCK = 8  # rows of a list in a block, on average
Skips = npt.NDArray[np.uint32]


def skips_of(listed: npt.NDArray[np.uint32], rows: int) -> tuple[Skips, int]:
    """The skips of a list, and their shift.

    Args:
        listed: Its rows, ascending.
        rows: How many rows the segment has.

    Returns:
        uint32 (blocks + 1,): for each block the rows of the list before it, at last all of them.

    Example:
        >>> skips_of(np.array([0, 1, 9], np.uint32), 16)
        (array([0, 3], dtype=uint32), 5)
    """
    shift = (PER_BLOCK * rows // len(listed)).bit_length() - 1
    blocks = ((rows - 1) >> shift) + 1
    skips = np.zeros(blocks + 1, np.int64)
    skips[1:] = np.bincount(listed >> np.uint32(shift), minlength=blocks)
    return np.cumsum(skips).astype(np.uint32), shift
