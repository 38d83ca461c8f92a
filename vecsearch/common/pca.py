"""Principal components, as all that projects vectors computes them: the same rows give the same axes, signs included."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BLOCK_ROWS = 8_192  # rows held in float64 at a time


def principal_axes(
    rows: npt.NDArray[np.floating[Any]], *, centred: bool
) -> tuple[Floats, Floats, Floats]:
    """The rows' centre, the squared length they have along each principal axis (all rows together), and the axes.

    rows: float32 or float64 (n, dim), at least one. centred: about their mean; else about the origin, as fits inner products
    and cosines, which a shift changes. Returns float64 (dim,), (dim,) in falling order, and (dim, dim) with an axis a row.
    """
    dim = rows.shape[1]
    centre = rows.mean(axis=0, dtype=np.float64) if centred else np.zeros(dim)
    moment = np.zeros((dim, dim))
    for at in range(0, len(rows), BLOCK_ROWS):
        block = rows[at : at + BLOCK_ROWS] - centre
        moment += block.T @ block
    squares, columns = np.linalg.eigh(moment)  # in rising order
    axes = columns[:, ::-1].T
    signs = np.sign(
        axes[np.arange(dim), np.abs(axes).argmax(axis=1)]
    )  # an axis has no direction of its own: fix one
    return centre, np.maximum(squares[::-1], 0), axes * signs[:, None]
