"""A uniform random sample of a stream of vectors."""

from __future__ import annotations

import numpy as np

from vecsearch.common.arrays import Vectors


class Reservoir:
    """A sample in which every offered vector is equally likely to be.

    Vitter, "Random Sampling with a Reservoir" (1985).

    Args:
        capacity: The most vectors in the sample.
        rng: The source of randomness.
        seen: How many vectors were offered before.
        vectors: The sample of those: float32, shape (n, dim).

    Example:
        >>> sample = Reservoir(2, np.random.default_rng(0))
        >>> for number in range(5):
        ...     sample.offer(np.array([number], np.float32))
        >>> sample.seen, sample.matrix(1).shape
        (5, (2, 1))
    """

    def __init__(
        self, capacity: int, rng: np.random.Generator, seen: int = 0, vectors: Vectors | None = None
    ) -> None:
        self.capacity = capacity
        self.seen = seen
        self._rng = rng
        self._vectors: list[Vectors] = [] if vectors is None else list(vectors)

    def offer(self, vector: Vectors) -> None:
        """Offer one vector, float32 (dim,); it is copied if it is taken."""
        self.seen += 1
        if len(self._vectors) < self.capacity:
            self._vectors.append(vector.copy())
            return
        index = int(self._rng.integers(self.seen))
        if index < self.capacity:
            self._vectors[index] = vector.copy()

    def merged(self, other: Reservoir) -> Reservoir:
        """A sample of what both have seen; how many come from each is hypergeometric."""
        seen = self.seen + other.seen
        wanted = min(self.capacity, seen)
        count = int(self._rng.hypergeometric(self.seen, other.seen, wanted)) if wanted else 0
        # The other reservoir may have a smaller capacity, and so fewer vectors than are wanted.
        count = min(max(count, wanted - len(other._vectors)), len(self._vectors))
        chosen = self._choose(self._vectors, count)
        chosen += self._choose(other._vectors, min(wanted - count, len(other._vectors)))
        vectors = np.array(chosen, np.float32) if chosen else None
        return Reservoir(self.capacity, self._rng, seen, vectors)

    def _choose(self, vectors: list[Vectors], count: int) -> list[Vectors]:
        return [vectors[index] for index in self._rng.permutation(len(vectors))[:count]]

    def matrix(self, dim: int) -> Vectors:
        """The sample: float32, shape (n, dim)."""
        return np.array(self._vectors, np.float32).reshape(-1, dim)
