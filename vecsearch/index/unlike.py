"""Made queries that are unlike the rows, to calibrate with.

Users search for the mean of what they liked, or for "king - man + woman". Held-out rows say nothing
of such queries.
"""

from __future__ import annotations

import numpy as np

from vecsearch.common.arrays import Vectors

KINDS = 2
MOST = 800  # of each kind
MEAN_OF = 5


def unlike_queries(rows: Vectors, unit: bool, rng: np.random.Generator) -> list[Vectors]:
    """Means of a few rows, and differences of two.

    Args:
        rows: float32 (n, dim), at least one.
        unit: Whether queries are of unit length.
        rng: Chooses the rows.

    Returns:
        `KINDS` arrays, each float32 (queries, dim).
    """
    chosen = rng.integers(0, len(rows), (min(MOST, len(rows)), MEAN_OF))
    parts = rows[chosen].astype(np.float64)
    made = [parts.mean(axis=1), parts[:, 0] - parts[:, 1]]
    if unit:
        made = [one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-12) for one in made]
        made = [one[np.linalg.norm(one, axis=1) > 0.5] for one in made]  # not of equal rows
    return [one.astype(np.float32) for one in made]
