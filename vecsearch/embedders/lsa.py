"""Latent semantic analysis: texts as tf-idf weights of their words, in fewer dimensions.

Deerwester et al., "Indexing by Latent Semantic Analysis" (1990). It needs no model and no weights.
`vecsearch.training.lsa` fits it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.common.show import shown
from vecsearch.embedders.saved import Saved, TrainedEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.text.analyzer import Analyzer


class LsaEmbedder(TrainedEmbedder):
    """Embeds texts by the words they share, and by words that occur together.

    A word weighs 1 + log of its count in the text, times its inverse document frequency.

    Args:
        words: The words that count, after their endings were cut off.
        rarity: The inverse document frequency of each: float32, shape (len(words),).
        axes: float32, shape (len(words), dim).
        language: The language whose word endings are cut off; None keeps them.
        name: The embedder's name.
    """

    def __init__(
        self,
        words: Sequence[str],
        rarity: npt.NDArray[np.float32],
        axes: Vectors,
        language: str | None = "english",
        name: str = "lsa:unsaved",
    ) -> None:
        super().__init__(name, int(axes.shape[1]))
        self.words = list(words)
        self.rarity = np.ascontiguousarray(rarity, dtype=np.float32)
        self.axes: Vectors = np.ascontiguousarray(axes, dtype=np.float32)
        self.language = language
        self._row = {word: row for row, word in enumerate(self.words)}
        self._analyzer = Analyzer(language=language)

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """Embed texts: unit vectors, or zero for a text without a known word.

        Args:
            documents: Texts.

        Returns:
            float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: A document is no text.
        """
        weights = word_weights(documents, self._row, self.rarity, self._analyzer)
        vectors = np.asarray(weights @ self.axes, dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)

    def _saved(self) -> Saved:
        arrays = {"rarity": self.rarity, "axes": self.axes}
        return Saved("lsa", {"language": self.language}, self.words, arrays)


def word_weights(
    texts: Sequence[Any],
    row: dict[str, int],
    rarity: npt.NDArray[np.floating[Any]],
    analyzer: Analyzer,
) -> Any:
    """The tf-idf weights of texts as a scipy matrix in compressed sparse rows, rows of length 1."""
    words = []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInputError(f"document {number} is {shown(text)}; it must be a text")
        words.append(np.array([row[term] for term in analyzer.terms(text) if term in row], int))
    return tf_idf(words, rarity)


def tf_idf(texts: Sequence[npt.NDArray[Any]], rarity: npt.NDArray[np.floating[Any]]) -> Any:
    """Weights (1 + log of the count) * rarity: a scipy matrix in compressed rows of length 1.

    It is that of scikit-learn with `sublinear_tf`.

    Args:
        texts: The numbers of the words of each text, repeated as they are.
        rarity: The inverse document frequency of each word.
    """
    from scipy.sparse import csr_matrix

    start, columns, values = [0], [np.empty(0, np.int64)], [np.empty(0)]
    for words in texts:
        found, counts = np.unique(words, return_counts=True)
        weights = (1 + np.log(counts)) * rarity[found]
        length = float(np.linalg.norm(weights))
        columns.append(found)
        values.append(weights / length if length > 0 else weights)
        start.append(start[-1] + len(found))
    cells = (np.concatenate(values), np.concatenate(columns), np.array(start))
    return csr_matrix(cells, (len(texts), len(rarity)))


def rarity_of(counts: npt.NDArray[Any], texts: int) -> npt.NDArray[np.float64]:
    """The inverse document frequency of words that are in so many of the texts.

    Example:
        >>> rarity_of(np.array([3, 1]), 3).round(2)
        array([1.  , 1.69])
    """
    return np.asarray(np.log((1 + texts) / (1 + counts)) + 1, np.float64)


def from_saved(saved: Saved, name: str) -> LsaEmbedder:
    """The embedder that `LsaEmbedder.save` wrote."""
    arrays = saved.arrays
    return LsaEmbedder(
        saved.keys, arrays["rarity"], arrays["axes"], saved.settings["language"], name
    )
