"""Items that recommend each other: one vector as a document, another as part of a history.

A method of collaborative filtering scores an item j for a history of items i with weights w by
sum_i w_i M[i, j]. With M = Q D^T, the item j is stored as D[j], and the history is the query
sum_i w_i Q[i] / sum_i w_i: a search by inner product ranks as the method does. Weights halve by the
place in the history, in some dimensions faster than in others if the model is a sum of methods.
`vecsearch.training.items` makes M and its factors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Mask, Vectors
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.keyed import KeyedEmbedder
from vecsearch.embedders.registry import resolve_embedder
from vecsearch.embedders.saved import (
    Saved,
    SavedEmbedder,
    lives_in_a_folder,
    load_saved,
    write_saved,
)
from vecsearch.errors import EmbedderMismatchError


class Cold:
    """Vectors of items that no session has, predicted from their texts.

    Args:
        texts: Embeds the texts; or its name, by which it is loaded on first use.
        weights: float32 (1 + dim of the texts, 2 * dim of the items): of a constant and the text's
            vector, for the document's vector and then for the query's.
        fingerprint: The fingerprint that an embedder loaded by name must have.
    """

    def __init__(
        self, texts: Embedder | str, weights: Vectors, fingerprint: str | None = None
    ) -> None:
        self._texts = texts
        self.weights: Vectors = np.ascontiguousarray(weights, np.float32)
        self.fingerprint = fingerprint
        if not isinstance(texts, str):
            self.fingerprint = texts.fingerprint()

    @property
    def texts(self) -> Embedder:
        """The embedder of the texts.

        Raises:
            EmbedderError: It cannot be loaded.
            EmbedderMismatchError: The one of that name is another one.
        """
        if isinstance(self._texts, str):
            found = resolve_embedder(self._texts)
            if found.fingerprint() != self.fingerprint:
                raise EmbedderMismatchError(
                    f"{self._texts} is not the model that these items were trained with: its "
                    "fingerprint differs"
                )
            self._texts = found
        return self._texts

    @property
    def inner(self) -> SavedEmbedder | None:
        """The embedder of the texts if it is to be saved along, since no name leads to it."""
        texts = self._texts
        return None if isinstance(texts, str) or not lives_in_a_folder(texts) else texts

    @property
    def name(self) -> str:
        return self._texts if isinstance(self._texts, str) else self._texts.name

    def predict(self, texts: Sequence[str]) -> Vectors:
        """The vectors as documents and as queries, side by side: float32 (len(texts), 2 * dim)."""
        vectors = self.texts.embed_documents(list(texts))
        return np.asarray(self.weights[0] + vectors @ self.weights[1:], np.float32)


class ItemEmbedder(KeyedEmbedder):
    """Embeds items by their keys, in collections with the metric "ip".

    A document is an item: in a collection, its id. A query is an item or a history of items, oldest
    first, whose weights halve every `half_life` places back and are divided by their sum. An
    unknown item is embedded by its text, if the model was trained with texts.

    Args:
        keys: The items.
        documents: float32 (len(keys), dim): their vectors as documents.
        queries: The same as parts of histories.
        half_life: By how many places back a weight halves, one number or one for each dimension;
            infinite ones, and None, weight all places alike.
        cold: Predicts vectors from texts; None refuses unknown items.
        text_columns: The columns that hold the texts; empty for the collection's own.
        name: The embedder's name.
        about: How the vectors were trained; saved with them.

    Attributes:
        metric: "ip"; `create` takes it from here.
        half_life: float64 (dim,).

    Example:
        >>> import numpy as np
        >>> items = ItemEmbedder(["pen", "ink"], np.eye(2), np.eye(2)[::-1], half_life=1.0)
        >>> items.embed_documents(["pen"]), items.embed_queries(["pen"])
        (array([[1., 0.]], dtype=float32), array([[0., 1.]], dtype=float32))
        >>> items.embed_queries([["pen", "ink"]])  # ink is newer and weighs twice as much
        array([[0.6666667 , 0.33333334]], dtype=float32)
    """

    metric = "ip"

    def __init__(
        self,
        keys: Sequence[str],
        documents: npt.NDArray[Any],
        queries: npt.NDArray[Any],
        *,
        half_life: float | npt.NDArray[Any] | None = None,
        cold: Cold | None = None,
        text_columns: Sequence[str] = (),
        name: str = "items:unsaved",
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(keys, np.asarray(documents, np.float32), name, about)
        self._queries: Vectors = np.ascontiguousarray(queries, np.float32)
        places = np.inf if half_life is None else np.asarray(half_life, np.float64)
        self.half_life: npt.NDArray[np.float64] = np.array(np.broadcast_to(places, self.dim))
        self.cold = cold
        self.text_columns = tuple(text_columns)

    @property
    def query_vectors(self) -> Vectors:
        """The vectors of the items as parts of histories: float32, shape (n, dim)."""
        return self._queries

    def most_similar(self, key: str, k: int = 10) -> list[tuple[str, float]]:
        """The k items that score most for a history of one item, best first, as (key, score).

        Raises:
            InvalidInputError: The key has no vector.
        """
        self.vector(key)
        at = self.row[key]
        scores = self.vectors.astype(np.float64) @ self._queries[at].astype(np.float64)
        scores[at] = -np.inf
        best = np.argsort(-scores, kind="stable")[: min(k, len(self.keys) - 1)]
        return [(self.keys[row], float(scores[row])) for row in best]

    def scores(self, history: Sequence[Any]) -> npt.NDArray[np.float64]:
        """The score of each item for a history, in the order of `keys`: float64 (n,).

        Args:
            history: Items, oldest first. Those without a vector are ignored.

        Raises:
            InvalidInputError: No item of the history has a vector.
        """
        query = self.embed_queries([list(history)])[0].astype(np.float64)
        return np.asarray(self.vectors.astype(np.float64) @ query)

    def history_vectors(self, documents: Sequence[str]) -> tuple[Vectors, Mask]:
        """Vectors of a history, oldest first, whose mean is the query; and which are known.

        Args:
            documents: Ids with texts, as collections give them.

        Returns:
            As `example_vectors`, each multiplied by the weight of its place.
        """
        vectors, known = self.example_vectors(documents)
        weights = self._decay(len(documents)) * len(documents)
        return np.asarray(vectors * weights, np.float32), known

    def _of_list(self, rows: Sequence[int]) -> Vectors:
        return np.asarray((self._decay(len(rows)) * self._queries[rows]).sum(axis=0), np.float32)

    def _decay(self, count: int) -> npt.NDArray[np.float64]:
        """The weights of a history of `count` items: (count, dim); each column sums to 1."""
        weights = 0.5 ** (np.arange(count)[::-1, None] / self.half_life)
        return np.asarray(weights / weights.sum(axis=0))

    def _takes(self, text: str) -> bool:
        return self.cold is not None and bool(text.strip())

    def _cold_documents(self, texts: list[str]) -> Vectors:
        assert self.cold is not None  # `_takes` says so
        return self.cold.predict(texts)[:, : self.dim]

    def _cold_queries(self, texts: list[str]) -> Vectors:
        assert self.cold is not None
        return self.cold.predict(texts)[:, self.dim :]

    def _write(self, folder: str | Path) -> Path:
        return write_saved(
            self._saved(), folder, None if self.cold is None else self.cold.inner, self.report
        )

    def _saved(self) -> Saved:
        settings: dict[str, Any] = {
            "text_columns": list(self.text_columns),
            "about": self.about,
            "texts": None,
        }
        arrays: dict[str, npt.NDArray[Any]] = {
            "documents": self.vectors,
            "queries": self._queries,
            "half_life": self.half_life,
        }
        if self.cold is not None:
            inside = self.cold.inner is not None
            settings["texts"] = {
                "model": None if inside else self.cold.name,
                "fingerprint": self.cold.fingerprint,
            }
            arrays["texts"] = self.cold.weights
        return Saved("items", settings, self.keys, arrays)

    def _compute_fingerprint(self) -> str:
        """Over keys, vectors, the weights of histories and the model of the texts."""
        saved = self._saved()
        digest = hashlib.sha256(Saved("items", {}, saved.keys, saved.arrays).fingerprint().encode())
        if self.cold is not None:
            digest.update((self.cold.fingerprint or "").encode())
        return digest.hexdigest()


def from_saved(saved: Saved, name: str) -> ItemEmbedder:
    """The embedder that `ItemEmbedder.save` wrote."""
    settings, arrays = saved.settings, saved.arrays
    cold, texts = None, settings["texts"]
    if texts is not None:
        model: Embedder | str = texts["model"] or load_saved(
            Path(name.removeprefix("saved:")) / "inner"
        )
        cold = Cold(model, arrays["texts"], texts["fingerprint"])
    return ItemEmbedder(
        saved.keys,
        arrays["documents"],
        arrays["queries"],
        half_life=arrays["half_life"],
        cold=cold,
        text_columns=settings["text_columns"],
        name=name,
        about=settings["about"],
    )
