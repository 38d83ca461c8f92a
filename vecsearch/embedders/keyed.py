"""Vectors that have names: words, items, nodes. Looking them up, their neighbours, and arithmetic on them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.embedders.saved import Saved, write_saved
from vecsearch.errors import InvalidInputError


class KeyedVectors:
    """A float32 matrix, shape (n, dim), with one distinct string key a row."""

    def __init__(self, keys: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
        """Raises InvalidInputError when a key comes twice, or keys and rows differ in number."""
        if vectors.ndim != 2 or len(vectors) != len(keys):
            raise InvalidInputError(f"{len(keys)} keys do not fit vectors of shape {vectors.shape}")
        self.keys = list(keys)
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self.dim = int(vectors.shape[1])
        self.row = {key: row for row, key in enumerate(self.keys)}
        if len(self.row) != len(self.keys):
            twice = next(key for row, key in enumerate(self.keys) if self.row[key] != row)
            raise InvalidInputError(f"the key {twice!r} has more than one vector")
        self._unit: npt.NDArray[np.float32] | None = None

    def __contains__(self, key: object) -> bool:
        return key in self.row

    def __len__(self) -> int:
        return len(self.keys)

    def vector(self, key: str) -> npt.NDArray[np.float32]:
        """The vector of one key, shape (dim,). Raises InvalidInputError that names the nearest spelling."""
        if key not in self.row:
            near = (
                difflib.get_close_matches(key, self.keys, n=1) if len(self.keys) <= 100_000 else []
            )
            raise InvalidInputError(
                f"no vector for {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        row: npt.NDArray[np.float32] = self.vectors[self.row[key]]
        return row

    @property
    def unit(self) -> npt.NDArray[np.float32]:
        """Every row scaled to length 1 (a zero row stays), shape (n, dim); worked out once."""
        if self._unit is None:
            norms = np.linalg.norm(self.vectors, axis=1, keepdims=True)
            norms[norms == 0] = 1
            self._unit = np.asarray(self.vectors / norms, dtype=np.float32)
        return self._unit

    def similarity(self, one: str, other: str) -> float:
        """Cosine of two keys."""
        a, b = self.vector(one), self.vector(other)
        norms = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / norms if norms > 0 else 0.0

    def most_similar(self, key: str, k: int = 10) -> list[tuple[str, float]]:
        """The k keys with the highest cosine to `key`, itself left out, best first."""
        return self.analogy([key], [], k)

    def analogy(
        self, positive: Sequence[str], negative: Sequence[str], k: int = 10
    ) -> list[tuple[str, float]]:
        """The k keys nearest to the sum of unit vectors of `positive` less those of `negative`, these keys left out.

        `analogy(["king", "woman"], ["man"])` asks: as man is to king, so is woman to what? (3CosAdd: Mikolov, Yih and
        Zweig, NAACL 2013.)
        """
        for key in [*positive, *negative]:
            self.vector(key)
        rows = [self.row[key] for key in [*positive, *negative]]
        signs = np.repeat(np.array([1, -1], dtype=np.float32), [len(positive), len(negative)])
        target = signs @ self.unit[rows]
        length = float(np.linalg.norm(target))
        scores = self.unit @ (target / length if length > 0 else target)
        scores[rows] = -np.inf
        best = np.argsort(-scores, kind="stable")[: min(k, len(self.keys) - len(set(rows)))]
        return [(self.keys[row], float(scores[row])) for row in best]


class KeyedEmbedder(KeyedVectors):
    """Items or nodes by key. A document is a key; a query is a key, or a list of keys (a basket): their mean."""

    def __init__(
        self,
        keys: Sequence[str],
        vectors: npt.NDArray[np.float32],
        name: str = "keyed:unsaved",
        about: dict[str, Any] | None = None,
    ) -> None:
        """`about`: how the vectors were made, kept with them when saved."""
        super().__init__(keys, vectors)
        self.name = name
        self.about = dict(about or {})
        self._fingerprint: str | None = None

    def fingerprint(self) -> str:
        """sha256 over keys and vectors."""
        if self._fingerprint is None:
            self._fingerprint = Saved(
                "keyed", {}, self.keys, {"vectors": self.vectors}
            ).fingerprint()
        return self._fingerprint

    def embed_documents(self, documents: Sequence[Any]) -> npt.NDArray[np.float32]:
        """float32, shape (len(documents), dim). Raises InvalidInputError for a key without a vector."""
        return self.embed_queries(documents)

    def embed_queries(self, queries: Sequence[Any]) -> npt.NDArray[np.float32]:
        """float32, shape (len(queries), dim). In a list, keys without a vector are passed over, unless all are."""
        out = np.empty((len(queries), self.dim), dtype=np.float32)
        for row, query in enumerate(queries):
            if isinstance(query, list | tuple):
                known = [self.row[str(key)] for key in query if str(key) in self.row]
                if not known:
                    raise InvalidInputError(
                        f"row {row}: none of the {len(query)} keys has a vector"
                    )
                out[row] = self.vectors[known].mean(axis=0)
            else:
                out[row] = self.vector(str(query))
        return out

    def save(self, folder: str | Path) -> Path:
        path = write_saved(
            Saved("keyed", {"about": self.about}, self.keys, {"vectors": self.vectors}), folder
        )
        self.name = f"saved:{path}"
        return path


def from_saved(saved: Saved, name: str) -> KeyedEmbedder:
    return KeyedEmbedder(saved.keys, saved.arrays["vectors"], name, saved.settings["about"])
