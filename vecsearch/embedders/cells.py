"""Single cells: counts of genes, normalized, as logarithms, projected on principal components."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.embedders.projected import ReducedEmbedder
from vecsearch.embedders.projection import Projection
from vecsearch.embedders.saved import Saved
from vecsearch.errors import InvalidInputError

TOTAL = 10_000.0  # counts of each cell after normalization


class CellEmbedder(ReducedEmbedder):
    """Vectors of cells from the counts of their genes: what `vecsearch.train("cells", ...)` makes.

    A cell is given as a vector with a number for each gene, in the order of the data that the model
    was trained on. Its counts are scaled to a sum of 10,000, log(1 + count) is taken, and the
    result is projected on the principal components of the genes that vary the most (Luecken and
    Theis, "Current best practices in single-cell RNA-seq analysis", Molecular Systems Biology
    2019).

    Args:
        projection: The projection, which has zeros for genes that are left out.
        normalize: Whether counts are given. False: values that are normalized already.
        name: The embedder's name.
    """

    def __init__(
        self, projection: Projection, normalize: bool = True, name: str = "cells:unsaved"
    ) -> None:
        super().__init__(projection, None, name=name)
        self.normalize = normalize

    def project(self, vectors: Vectors) -> Vectors:
        """Normalize and project float32 (n, genes) to float32 (n, dim).

        Raises:
            InvalidInputError: A count is negative.
        """
        return self.projection.apply(normalized(vectors) if self.normalize else vectors)

    def _compute_fingerprint(self) -> str:
        return self._saved().fingerprint()

    def _saved(self) -> Saved:
        arrays = {"matrix": self.projection.matrix, "centre": self.projection.center}
        return Saved("cells", {"normalize": self.normalize}, (), arrays)


def normalized(counts: Vectors) -> Vectors:
    """log(1 + count), of counts that are scaled so that each cell has 10,000.

    Example:
        >>> [f"{value:.3f}" for value in normalized(np.array([[1, 3]], np.float32))[0]]
        ['7.824', '8.923']
    """
    if len(counts) and counts.min() < 0:
        row = int(np.argmax((counts < 0).any(axis=1)))
        raise InvalidInputError(
            f"row {row} has a negative count: values that are normalized or scaled already need a "
            "model trained with normalize=False",
            command_hint="train with --no-normalize",
        )
    sums = counts.sum(axis=1, dtype=np.float64, keepdims=True)
    return np.asarray(np.log1p(counts * (TOTAL / np.where(sums > 0, sums, 1))), np.float32)


def from_saved(saved: Saved, name: str) -> CellEmbedder:
    """The embedder that `CellEmbedder.save` wrote."""
    arrays: Any = saved.arrays
    projection = Projection(arrays["matrix"], arrays["centre"])
    return CellEmbedder(projection, bool(saved.settings["normalize"]), name)
