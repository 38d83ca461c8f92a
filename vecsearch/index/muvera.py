"""Fixed-dimensional encodings: one vector for a list of vectors, for MaxSim by inner products.

Jayaram, Dhulipala, Hadian, Lee and Mirrokni, "MUVERA: Multi-Vector Retrieval via Fixed Dimensional
Encodings" (NeurIPS 2024, arXiv 2405.19504). Random planes divide the space into buckets (SimHash).
For each bucket a query has the sum of its vectors there, and a document the mean of its own; an
empty bucket of a document takes its vector whose bucket differs in the fewest planes. So the inner
product of two encodings is about the sum, over the vectors of the query, of the product with a
vector of the document that is near: about MaxSim. Several repetitions with other planes are put one
after the other, and each vector is first projected to few dimensions by random signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors

REPETITIONS = 16
PLANES = 4  # so 16 buckets
PROJECTED = 8  # dimensions of a bucket
SEED = 2405_19504  # the encoding of a list follows from its numbers alone


@dataclass(frozen=True, eq=False)
class Encoding:
    """The encoding of lists of vectors of some dimension.

    Args:
        planes: Normals of the planes, float32 (repetitions, planes, dim).
        projections: Random signs, scaled, float32 (repetitions, dim, projected dimensions).
    """

    planes: npt.NDArray[np.float32]
    projections: npt.NDArray[np.float32]

    @property
    def dim(self) -> int:
        """The numbers of an encoding."""
        repetitions, planes, _ = self.planes.shape
        return int(repetitions * 2**planes * self.projections.shape[2])

    def documents(self, vectors: Vectors, counts: npt.NDArray[np.int64]) -> Vectors:
        """The encodings of documents.

        Args:
            vectors: Those of all documents, one after the other, float32 (sum of counts, dim).
            counts: How many each document has, at least 1, int64 (documents,).

        Returns:
            float32 (documents, `dim`).
        """
        buckets = 2 ** self.planes.shape[1]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)[:-1]])
        owners = np.repeat(np.arange(len(counts)), counts)
        bits = np.array([number.bit_count() for number in range(buckets)])
        places = np.arange(len(vectors))
        parts = []
        for planes, projection in zip(self.planes, self.projections, strict=True):
            where, projected = _buckets(vectors, planes), vectors @ projection
            sums, sizes = _sums(projected, owners * buckets + where, len(counts) * buckets)
            means = sums / np.maximum(sizes, 1)[:, None]
            means = means.reshape(len(counts), buckets, -1)
            empty = sizes.reshape(len(counts), buckets) == 0
            for bucket in np.flatnonzero(empty.any(axis=0)).tolist():
                far = bits[where ^ bucket] * len(vectors) + places  # the first of the nearest
                nearest = np.minimum.reduceat(far, starts) % len(vectors)
                missing = np.flatnonzero(empty[:, bucket])
                means[missing, bucket] = projected[nearest[missing]]
            parts.append(means.reshape(len(counts), -1))
        return self._joined(parts)

    def query(self, vectors: Vectors) -> Vectors:
        """The encoding of a query, divided by the number of its vectors: float32 (`dim`,)."""
        buckets = 2 ** self.planes.shape[1]
        parts = [
            _sums(vectors @ projection, _buckets(vectors, planes), buckets)[0].reshape(1, -1)
            for planes, projection in zip(self.planes, self.projections, strict=True)
        ]
        encoded: Vectors = self._joined(parts)[0] / np.float32(len(vectors))
        return encoded

    def _joined(self, parts: list[npt.NDArray[np.float64]]) -> Vectors:
        joined = np.concatenate(parts, axis=1) / len(parts) ** 0.5
        return np.ascontiguousarray(joined, np.float32)


@cache
def encoding_for(dim: int) -> Encoding:
    """The encoding of lists of vectors of this dimension: always the same."""
    rng = np.random.default_rng([SEED, dim])
    planes = rng.standard_normal((REPETITIONS, PLANES, dim)).astype(np.float32)
    if dim <= PROJECTED:
        projections = np.broadcast_to(np.eye(dim, dtype=np.float32), (REPETITIONS, dim, dim))
        return Encoding(planes, projections)
    signs = rng.integers(0, 2, (REPETITIONS, dim, PROJECTED)) * 2 - 1
    return Encoding(planes, (signs / PROJECTED**0.5).astype(np.float32))


def _buckets(vectors: Vectors, planes: Vectors) -> npt.NDArray[np.int64]:
    """The bucket of each vector: a bit for each plane, whether it lies above."""
    above = vectors @ planes.T > 0
    return np.asarray(above @ (1 << np.arange(len(planes))), np.int64)


def _sums(
    vectors: Vectors, keys: npt.NDArray[np.int64], count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The sum of the vectors of each key, float64 (count, dim), and how many there are."""
    sums = np.empty((count, vectors.shape[1]))
    for number, column in enumerate(vectors.T):
        sums[:, number] = np.bincount(keys, column, count)
    return sums, np.bincount(keys, minlength=count).astype(np.int64)
