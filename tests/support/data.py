"""Made data, and the oracle of the search tests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def clustered(rows: int, dim: int, seed: int = 0, clusters: int = 40) -> npt.NDArray[np.float32]:
    """Vectors in clusters of unequal spread, of unequal length: float32 (rows, dim)."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((clusters, dim))
    spread = rng.uniform(0.2, 0.8, clusters)
    owner = rng.integers(clusters, size=rows)
    vectors = centres[owner] + spread[owner, None] * rng.standard_normal((rows, dim))
    return (vectors * rng.uniform(0.5, 2, (rows, 1))).astype(np.float32)


def brute_force(
    vectors: npt.NDArray[np.float32], query: npt.NDArray[np.float32], metric: str
) -> npt.NDArray[np.float64]:
    """True scores by plain float64 numpy, the oracle of the search tests."""
    v, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "l2":
        return -((v - q) ** 2).sum(axis=1)
    if metric == "cosine":
        return (v @ q) / (np.linalg.norm(v, axis=1) * np.linalg.norm(q))
    return v @ q
