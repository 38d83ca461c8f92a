"""Links between nodes whose vectors are near each other."""

from __future__ import annotations

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.graphs.graph import Nodes, Weights

_BLOCK = 1024  # rows whose similarities to all are computed at a time


def unit_rows(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1; a zero row stays zero: float32."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def nearest_links(vectors: Vectors, count: int) -> tuple[Nodes, Nodes, Weights]:
    """A link from each node to its nearest ones by cosine; none to what is not alike (0 or less).

    Args:
        vectors: float32, shape (nodes, dim); a node whose vector is zero has no such links.
        count: How many links lead from each node at most.

    Returns:
        Where the links start and lead, and their cosines.

    Example:
        >>> import numpy as np
        >>> nearest_links(np.array([[1, 0], [2, 1], [0, 1]], np.float32), 1)[1]
        array([1, 0, 1])
    """
    unit = unit_rows(vectors)
    count = min(count, len(unit) - 1)
    tails, heads, weights = [], [], []
    for first in range(0, len(unit), _BLOCK):
        rows = np.arange(first, min(first + _BLOCK, len(unit)))
        cosines = unit[rows] @ unit.T
        cosines[rows - first, rows] = -np.inf
        best = np.argsort(-cosines, axis=1, kind="stable")[:, : max(count, 0)]
        values = np.take_along_axis(cosines, best, axis=1)
        alike = values > 0
        tails.append(np.repeat(rows, alike.sum(axis=1)))
        heads.append(best[alike])
        weights.append(values[alike])
    if not tails:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    return (
        np.concatenate(tails).astype(np.int64),
        np.concatenate(heads).astype(np.int64),
        np.concatenate(weights).astype(np.float64),
    )
