"""The rows that the operations are measured on."""

from __future__ import annotations

import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

WORDS = "river stone cloud winter bright silent garden copper orange travel abcd paper".split()
LANGUAGES = ("en", "de", "fr", "zh", "ja")
SINCE = datetime.datetime(2020, 1, 1)


class Rows:
    """Vectors in 3,000 unequal clusters whose variances fall as those of real embeddings do, and
    columns of every common type.

    Args:
        dim: Numbers a vector.
        seed: Of everything drawn.
    """

    def __init__(self, dim: int, seed: int = 0) -> None:
        self.dim, self._rng = dim, np.random.default_rng(seed)
        scales = np.arange(1, dim + 1) ** -0.6
        turned = np.linalg.qr(self._rng.standard_normal((dim, dim)))[0]
        self._basis = (scales[:, None] * turned).astype(np.float32)
        self._centers = self._rng.standard_normal((3000, dim)).astype(np.float32)
        self._shares = self._rng.dirichlet(np.full(3000, 0.5))
        self._next = 0

    def vectors(self, rows: int) -> npt.NDArray[np.float32]:
        """Vectors, float32 (rows, dim), of unit length."""
        owners = self._rng.choice(len(self._centers), rows, p=self._shares)
        noise = self._rng.standard_normal((rows, self.dim), dtype=np.float32)
        made = (self._centers[owners] + 0.6 * noise) @ self._basis
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)

    def table(self, rows: int) -> pa.Table:
        """The next rows; ids go on where the last table ended."""
        ids = np.arange(self._next, self._next + rows)
        self._next += rows
        words = np.array(WORDS)
        picked = words[self._rng.integers(len(words), size=(rows, 4))]
        titles = [" ".join([*row, str(n)]) for n, row in zip(ids, picked, strict=True)]
        values = pa.array(self.vectors(rows).ravel())
        return pa.table(
            {
                "id": ids,
                "year": self._rng.integers(1950, 2026, rows),
                "price": self._rng.gamma(2, 20, rows),
                "lang": pa.array(np.array(LANGUAGES)[self._rng.choice(5, rows, p=SHARES)]),
                "title": pa.array(titles),
                "tags": pa.array([list(row[:2]) for row in picked]),
                "ts": pa.array(
                    np.datetime64(SINCE, "us") + self._rng.integers(0, 10**14, rows),
                    pa.timestamp("us"),
                ),
                "vector": pa.FixedSizeListArray.from_arrays(values, self.dim),
            }
        )


SHARES = (0.6, 0.2, 0.1, 0.07, 0.03)
