"""Vectors with string keys (words, items, nodes): lookup, nearest neighbors and analogies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vecsearch.common.arrays import Mask, Vectors
from vecsearch.common.gate import gated
from vecsearch.common.keyed import split_keyed
from vecsearch.common.lazy import lazy
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.embedders.saved import Saved, TrainedEmbedder
from vecsearch.embedders.torch_layer import EmbeddingRows, check_layer, embedding_layer
from vecsearch.errors import InvalidInputError

if TYPE_CHECKING:
    import torch


class KeyedVectors:
    """A float32 matrix of shape (n, dim) with one distinct string key per row.

    Args:
        keys: The keys, in row order.
        vectors: float32, shape (len(keys), dim).

    Raises:
        InvalidInputError: A key is repeated, or keys and rows differ in number.

    Attributes:
        keys: The keys, in row order.
        vectors: The matrix.
        dim: The length of a vector.
        row: Key -> row number.

    Example:
        >>> import numpy as np
        >>> vectors = KeyedVectors(["a", "b", "c"], np.array([[1, 0], [1, 1], [0, 1]], np.float32))
        >>> vectors.most_similar("a", k=1)[0][0]
        'b'
    """

    def __init__(self, keys: Sequence[str], vectors: Vectors) -> None:
        if vectors.ndim != 2 or len(vectors) != len(keys):
            raise InvalidInputError(f"{len(keys)} keys do not fit vectors of shape {vectors.shape}")
        self.keys = list(keys)
        self.vectors: Vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self.dim = int(vectors.shape[1])
        self.row = {key: row for row, key in enumerate(self.keys)}
        if len(self.row) != len(self.keys):
            repeated = next(key for row, key in enumerate(self.keys) if self.row[key] != row)
            raise InvalidInputError(f"the key {repeated!r} has more than one vector")

    def __contains__(self, key: object) -> bool:
        return key in self.row

    def __len__(self) -> int:
        return len(self.keys)

    def vector(self, key: str) -> Vectors:
        """The vector of one key: float32, shape (dim,).

        Raises:
            InvalidInputError: The key has no vector; the message suggests a similar key.
        """
        if key not in self.row:
            raise InvalidInputError(f"no vector for {key!r}{did_you_mean(key, self.keys)}")
        row: Vectors = self.vectors[self.row[key]]
        return row

    @lazy
    def unit(self) -> Vectors:
        """Every row scaled to length 1 (a zero row stays zero): float32, shape (n, dim)."""
        norms = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        norms[norms == 0] = 1
        return np.asarray(self.vectors / norms, dtype=np.float32)

    def similarity(self, one: str, other: str) -> float:
        """The cosine of two keys' vectors; 0 if either vector is zero.

        Raises:
            InvalidInputError: A key has no vector.
        """
        a, b = self.vector(one), self.vector(other)
        norms = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / norms if norms > 0 else 0.0

    def most_similar(self, key: str, k: int = 10) -> list[tuple[str, float]]:
        """The k other keys with the highest cosine to `key`, best first, as (key, cosine).

        Raises:
            InvalidInputError: The key has no vector.
        """
        return self.analogy([key], [], k)

    def analogy(
        self, positive: Sequence[str], negative: Sequence[str], k: int = 10
    ) -> list[tuple[str, float]]:
        """The k keys nearest to the sum of `positive` minus the sum of `negative`.

        Unit vectors are added (3CosAdd: Mikolov, Yih and Zweig, NAACL 2013), so
        `analogy(["king", "woman"], ["man"])` asks: man is to king as woman is to what?

        Args:
            positive: Keys whose vectors are added.
            negative: Keys whose vectors are subtracted.
            k: How many keys to return; the given keys are left out.

        Returns:
            (key, cosine) pairs, best first.

        Raises:
            InvalidInputError: A key has no vector.
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

    @gated
    def torch_embedding(
        self,
        keys: Iterable[str] | None = None,
        *,
        trainable: bool = False,
        padding: bool = False,
        unknown: Literal["mean", "zeros"] | None = None,
    ) -> tuple[torch.nn.Embedding, EmbeddingRows]:
        """A `torch.nn.Embedding` with the vectors as its weight: the first layer of a network.

        Args:
            keys: The keys that have a row; a repeated key has one. None: all, in order.
            trainable: Whether training may change the weight. It never changes this model.
            padding: Make row 0 one of zeros, which fills short sequences and is never trained.
            unknown: Make a row for every other key, which begins with the "mean" of all vectors or
                with "zeros". Keys without a vector share it.

        Returns:
            The layer, with weight float32 (rows, dim), and the row of each key. Its `padded` makes
            a matrix of rows from several lists of keys.

        Raises:
            InvalidInputError: A key has no vector, and there is no row for unknown keys.
            MissingExtraError: PyTorch is not installed.

        Example:
            >>> import numpy as np
            >>> words = KeyedVectors(["sea", "sun"], np.array([[2, 0], [0, 4]], np.float32))
            >>> layer, row_of = words.torch_embedding(padding=True, unknown="mean")
            >>> layer(row_of.padded([["sun", "moon"], ["sea"]])).tolist()
            [[[0.0, 4.0], [1.0, 2.0]], [[2.0, 0.0], [0.0, 0.0]]]
        """
        check_layer(trainable, padding, unknown)
        if isinstance(keys, str):
            raise InvalidInputError("keys is one text: give a list of keys")
        listed = self.keys if keys is None else list(dict.fromkeys(keys))
        if unknown is not None:
            listed = [key for key in listed if key in self.row]
        for key in listed:
            self.vector(key)
        vectors = self.vectors[[self.row[key] for key in listed]]
        return embedding_layer(
            listed, vectors, trainable=trainable, padding=padding, unknown=unknown
        )


class KeyedEmbedder(KeyedVectors, TrainedEmbedder):
    """Embeds items or nodes by their keys.

    A document is a key: in a collection its id, or else its text. A query is a key, or a list of
    keys such as a shopping basket, whose vectors are averaged.

    Args:
        keys: The keys, in row order.
        vectors: float32, shape (len(keys), dim).
        name: The embedder's name.
        about: How the vectors were trained; saved with them.

    Raises:
        InvalidInputError: A key is repeated, or keys and rows differ in number.

    Example:
        >>> import numpy as np
        >>> items = KeyedEmbedder(["pen", "ink"], np.eye(2, dtype=np.float32))
        >>> items.embed_queries(["pen", ["pen", "ink"]])
        array([[1. , 0. ],
               [0.5, 0.5]], dtype=float32)
    """

    embeds_ids = True

    def __init__(
        self,
        keys: Sequence[str],
        vectors: Vectors,
        name: str = "keyed:unsaved",
        about: dict[str, Any] | None = None,
    ) -> None:
        KeyedVectors.__init__(self, keys, vectors)
        TrainedEmbedder.__init__(self, name, self.dim)
        self.about = dict(about or {})

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """Look up keys: float32, shape (len(documents), dim).

        Args:
            documents: Keys; or ids with texts, as collections give them, where the id is looked up
                first, then the text.

        Raises:
            InvalidInputError: A key has no vector.
        """
        return self._looked_up(documents, self.vectors, self._cold_documents)

    def example_vectors(self, documents: Sequence[str]) -> tuple[Vectors, Mask]:
        """Vectors of documents as queries, and which of them are known.

        Args:
            documents: Ids with texts, as collections give them.

        Returns:
            float32, shape (len(documents), dim), zero where a document is unknown, and a mask.
        """
        rows = np.array([self._row(document) for document in documents], np.int64)
        vectors = self.query_vectors[rows]
        known = rows >= 0
        texts = [split_keyed(document)[1] for document in documents]
        cold = [at for at in np.flatnonzero(~known).tolist() if self._takes(texts[at])]
        vectors[~known] = 0
        if cold:
            vectors[cold] = self._cold_queries([texts[at] for at in cold])
            known[cold] = True
        return vectors, known

    @property
    def query_vectors(self) -> Vectors:
        """The vectors of the keys as queries: float32, shape (n, dim)."""
        return self.vectors

    def embed_queries(self, queries: Sequence[Any]) -> Vectors:
        """Look up keys, or average lists of keys.

        Args:
            queries: Keys, or lists of keys, oldest first. In a list, keys without a vector are
                ignored.

        Returns:
            float32, shape (len(queries), dim).

        Raises:
            InvalidInputError: A key, or every key of a list, has no vector.
        """
        lists: list[int] = []
        single: list[int] = []
        for at, query in enumerate(queries):
            (lists if isinstance(query, list | tuple) else single).append(at)
        out = np.empty((len(queries), self.dim), dtype=np.float32)
        out[single] = self._looked_up(
            [queries[at] for at in single], self.query_vectors, self._cold_queries
        )
        for at in lists:
            known = [self.row[str(key)] for key in queries[at] if str(key) in self.row]
            if not known:
                raise InvalidInputError(
                    f"row {at}: none of the {len(queries[at])} keys has a vector"
                )
            out[at] = self._of_list(known)
        return out

    def _row(self, document: Any) -> int:
        """The row of a document's id, or else of its text; -1 if neither is a key."""
        key, text = split_keyed(document)
        return self.row.get(key, self.row.get(text, -1))

    def _looked_up(
        self, documents: Sequence[Any], vectors: Vectors, cold: Callable[[list[str]], Vectors]
    ) -> Vectors:
        """The vectors of documents; `cold` makes those of unknown ones from their texts."""
        rows = np.array([self._row(document) for document in documents], np.int64)
        unknown = np.flatnonzero(rows < 0).tolist()
        out = np.asarray(vectors[rows], np.float32)
        if unknown:
            pairs = [split_keyed(documents[at]) for at in unknown]
            for key, text in pairs:
                if not self._takes(text):
                    self.vector(key)  # raises, and names a similar key
            out[unknown] = cold([text for _, text in pairs])
        return out

    def _of_list(self, rows: Sequence[int]) -> Vectors:
        """The query of a list of known keys, oldest first: float32 (dim,)."""
        return np.asarray(self.query_vectors[rows].mean(axis=0), np.float32)

    def _takes(self, text: str) -> bool:
        """Whether an unknown key gets a vector from this text."""
        return False

    def _cold_documents(self, texts: list[str]) -> Vectors:
        """Vectors of unknown keys, from texts that `_takes`: float32 (len(texts), dim)."""
        raise InvalidInputError(f"{self.name} has no vector for {shown(texts[0])}")

    def _cold_queries(self, texts: list[str]) -> Vectors:
        """Such vectors for queries."""
        return self._cold_documents(texts)

    def _saved(self) -> Saved:
        return Saved("keyed", {"about": self.about}, self.keys, {"vectors": self.vectors})

    def _compute_fingerprint(self) -> str:
        """Over keys and vectors; how they were trained does not matter."""
        return Saved("keyed", {}, self.keys, {"vectors": self.vectors}).fingerprint()


def from_saved(saved: Saved, name: str) -> KeyedEmbedder:
    """The embedder that `KeyedEmbedder.save` wrote."""
    return KeyedEmbedder(saved.keys, saved.arrays["vectors"], name, saved.settings["about"])
