"""How good document vectors are on texts they were not trained on: find a text's other half.

Each held-out text is divided in the middle. With the vector of the first half, the second halves of
all of them are ranked; the measure is the mean reciprocal rank of the right one. Ordinary methods
answer the same questions: tf-idf, and tf-idf with fewer dimensions (latent semantic indexing:
Deerwester et al. 1990).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.embedders.lsa import rarity_of, tf_idf
from vecsearch.training.cooccurrence import vocabulary, word_ids
from vecsearch.training.lsa import strongest_axes
from vecsearch.training.report import MethodScore, method_score

LEAST_WORDS = 10  # of a text that is divided
MEASURE = "reciprocal rank of a held-out text's second half, asked by its first"


@dataclass(frozen=True)
class Halves:
    """Texts that were divided in the middle.

    Attributes:
        first: The first halves, as lists of words.
        second: The second ones, in the same order.
    """

    first: list[list[str]]
    second: list[list[str]]

    def scores(self, vectors: Callable[[Sequence[list[str]]], Any]) -> npt.NDArray[np.float64]:
        """The reciprocal rank for each text: float64.

        Args:
            vectors: Makes vectors of texts, dense or sparse, one row each.
        """
        similar = _cosines(vectors(self.first), vectors(self.second))
        own = np.diag(similar)[:, None]
        above = (similar > own).sum(axis=1)
        equal = (similar == own).sum(axis=1) - 1
        return np.asarray(1.0 / (1.0 + above + equal / 2))  # ties count half


def halves(documents: Sequence[list[str]]) -> Halves:
    """Divide texts in the middle; those of less than ten words are left out."""
    long = [each for each in documents if len(each) >= LEAST_WORDS]
    return Halves(
        [each[: len(each) // 2] for each in long], [each[len(each) // 2 :] for each in long]
    )


def _cosines(one: Any, other: Any) -> npt.NDArray[np.float64]:
    """The cosines of all rows with all rows; those of a zero row are 0."""
    product = _unit(one) @ _unit(other).T
    return np.asarray(product.toarray() if hasattr(product, "toarray") else product, np.float64)


def _unit(rows: Any) -> Any:
    from scipy.sparse import csr_array, diags_array, issparse

    if not issparse(rows):
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows, np.float64) / np.where(lengths > 0, lengths, 1)
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return csr_array(diags_array(1 / np.where(lengths > 0, lengths, 1)) @ rows)


class TfIdf:
    """Vectors of lists of words by tf-idf.

    Args:
        documents: The texts whose words and frequencies count.
        min_count: Words that occur less often are ignored.
    """

    def __init__(self, documents: Sequence[list[str]], min_count: int) -> None:
        self._words, _ = vocabulary(documents, min_count)
        found = np.zeros(len(self._words))
        for ids in word_ids(documents, self._words):
            found[np.unique(ids)] += 1
        self._rarity = rarity_of(found, len(documents))

    def __call__(self, documents: Sequence[list[str]]) -> Any:
        """One row for each text: a scipy matrix in compressed sparse rows."""
        return tf_idf(word_ids(documents, self._words), self._rarity)


def ordinary_scores(
    asked: Halves, documents: Sequence[list[str]], dim: int, min_count: int, seed: int
) -> list[MethodScore]:
    """tf-idf and latent semantic indexing on the same questions."""
    weights = TfIdf(documents, min_count)
    axes = strongest_axes(weights(documents), dim, seed)
    return [
        method_score("tf-idf", asked.scores(weights), seed=seed),
        method_score(
            "tf-idf, SVD (LSI)", asked.scores(lambda texts: weights(texts) @ axes), seed=seed
        ),
    ]
