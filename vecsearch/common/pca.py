"""Principal components, computed one way everywhere: equal rows give equal axes and signs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BLOCK_ROWS = 8_192  # rows converted to float64 at a time


def principal_axes(
    rows: npt.NDArray[np.floating[Any]], *, centered: bool
) -> tuple[Floats, Floats, Floats]:
    """Principal axes of some vectors, by an eigendecomposition of their second moments.

    Args:
        rows: float32 or float64, shape (n, dim), at least one row.
        centered: Whether to take the axes about the mean. Otherwise they are taken about the
            origin, which suits inner products and cosines, as a shift changes those.

    Returns:
        The center, float64 (dim,): the mean, or zeros; the sum over all rows of the squared lengths
        along each axis, float64 (dim,), in falling order; the axes, float64 (dim, dim), one per
        row. An axis points where its largest component is positive.

    Example:
        >>> center, squares, axes = principal_axes(np.array([[0.0, 2], [0.0, 4]]), centered=True)
        >>> center.tolist(), squares.tolist(), axes[0].tolist()
        ([0.0, 3.0], [2.0, 0.0], [0.0, 1.0])
    """
    dim = rows.shape[1]
    center = rows.mean(axis=0, dtype=np.float64) if centered else np.zeros(dim)
    moment = np.zeros((dim, dim))
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS] - center
        moment += block.T @ block
    squares, columns = np.linalg.eigh(moment)  # in rising order
    axes = columns[:, ::-1].T
    signs = np.sign(axes[np.arange(dim), np.abs(axes).argmax(axis=1)])
    return center, np.maximum(squares[::-1], 0), axes * signs[:, None]
