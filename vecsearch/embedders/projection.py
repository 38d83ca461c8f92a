"""Projections of vectors to fewer dimensions, and how they are fitted on a collection.

Two methods: principal components of the vectors of a corpus, and truncation, for models trained so
that the first numbers of a vector carry the most information (Kusupati et al., "Matryoshka
Representation Learning", NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.common.pca import principal_axes
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric

LADDER = (8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072)
TRAIN_ROWS = 65_536  # rows that components are fitted on, where there are that many
Method = Literal["pca", "truncate"]
METHODS: tuple[Method, ...] = ("pca", "truncate")


@dataclass(frozen=True)
class Projection:
    """Maps vectors to fewer dimensions: (vector - center) @ matrix.T.

    Attributes:
        matrix: float32, shape (dim, full dim).
        center: float32, shape (full dim,).
    """

    matrix: Vectors
    center: Vectors

    def apply(self, vectors: Vectors) -> Vectors:
        """Project float32 (n, full dim) to float32 (n, dim)."""
        return np.asarray((vectors - self.center) @ self.matrix.T, np.float32)

    def first(self, dim: int) -> Projection:
        """The first `dim` of the dimensions, which are the best ones for both methods."""
        return Projection(np.ascontiguousarray(self.matrix[:dim]), self.center)


def truncation(full: int, dim: int) -> Projection:
    """The first `dim` numbers of vectors of length `full`.

    Example:
        >>> truncation(3, 2).apply(np.array([[1, 2, 3]], np.float32))
        array([[1., 2.]], dtype=float32)
    """
    return Projection(np.eye(dim, full, dtype=np.float32), np.zeros(full, np.float32))


def principal_components(sample: Vectors, dim: int, *, centered: bool) -> Projection:
    """The `dim` directions that keep the most of a sample's squared length.

    Args:
        sample: float32, shape (n, full dim).
        dim: The number of components.
        centered: Whether to center on the mean. Euclidean distances allow that, as a shift does not
            change them; inner products and cosines do not.

    Returns:
        The projection.
    """
    center, _, axes = principal_axes(sample, centered=centered)
    return Projection(np.ascontiguousarray(axes[:dim], np.float32), center.astype(np.float32))


def fit_projection(snapshot: Snapshot, rows: Positions, method: Method, dim: int) -> Projection:
    """A projection of a collection's vectors, fitted on the given rows."""
    if method == "truncate":
        return truncation(snapshot.manifest.dim, dim)
    centered = snapshot.manifest.metric is Metric.L2
    return principal_components(snapshot.stored_vectors(rows), dim, centered=centered)


def training_sample(snapshot: Snapshot, seed: int) -> Positions:
    """Rows to fit a projection on, in rising order: a random sample of the live rows."""
    rows = snapshot.live.rows
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(rows, min(TRAIN_ROWS, len(rows)), replace=False))


def _listed(dims: Any) -> list[Any]:
    try:
        listed = list(dims)
    except TypeError:
        listed = []
    if not listed:
        raise InvalidInputError(f"dims is {shown(dims)}; it must be a list of numbers")
    return listed


def checked_dims(dims: Sequence[int] | None, full: int) -> list[int]:
    """The dimensions to measure, the largest first.

    Args:
        dims: The dimensions; None takes those of `LADDER` from a sixteenth of `full` up.
        full: The dimension of the vectors.

    Returns:
        Distinct dimensions, in falling order.

    Raises:
        InvalidInputError: A dimension is not a whole number from 1 to full - 1.

    Example:
        >>> checked_dims(None, 384)
        [256, 192, 128, 96, 64, 32]
    """
    ladder = (
        [dim for dim in LADDER if full / 16 <= dim < full] or [max(1, full // 2)]
        if dims is None
        else _listed(dims)
    )
    for dim in ladder:
        if not isinstance(dim, int | np.integer) or isinstance(dim, bool) or not 1 <= dim < full:
            raise InvalidInputError(
                f"dimension {shown(dim)}: give whole numbers from 1 to {full - 1}; "
                f"the vectors have {full}"
            )
    return sorted({int(dim) for dim in ladder}, reverse=True)
