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

from vecsearch.training.cooccurrence import Ids, vocabulary, word_ids
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
    """Vectors of texts by tf-idf: (1 + log tf) * (log((1 + n) / (1 + df)) + 1).

    It is that of scikit-learn with `sublinear_tf`.

    Args:
        documents: The texts whose words and frequencies count.
        min_count: Words that occur less often are ignored.
    """

    def __init__(self, documents: Sequence[list[str]], min_count: int) -> None:
        self._words, _ = vocabulary(documents, min_count)
        found = np.zeros(len(self._words))
        for ids in word_ids(documents, self._words):
            found[np.unique(ids)] += 1
        self._idf = np.log((1 + len(documents)) / (1 + found)) + 1

    def __call__(self, documents: Sequence[list[str]]) -> Any:
        """One row for each text: a scipy CSR matrix."""
        from scipy.sparse import csr_array

        rows = word_ids(documents, self._words)
        counts = [np.unique(row, return_counts=True) for row in rows]
        starts = np.cumsum([0, *(len(words) for words, _ in counts)])
        columns: Ids = np.concatenate([np.zeros(0, np.int64), *(words for words, _ in counts)])
        times = np.concatenate([np.zeros(0, np.int64), *(number for _, number in counts)])
        values = (1 + np.log(times)) * self._idf[columns]
        return csr_array((values, columns, starts), shape=(len(documents), len(self._words)))


class Lsi:
    """Vectors of texts by latent semantic indexing: tf-idf on its strongest dimensions.

    Args:
        tf_idf: Makes the vectors whose dimensions are reduced.
        documents: The texts that the dimensions are made of.
        dim: The most dimensions.
    """

    def __init__(self, tf_idf: TfIdf, documents: Sequence[list[str]], dim: int) -> None:
        from scipy.sparse.linalg import svds

        self._tf_idf = tf_idf
        matrix = _unit(tf_idf(documents))
        kept = min(dim, min(matrix.shape) - 1)
        start = np.random.default_rng(0).random(min(matrix.shape))
        self._axes = svds(matrix, k=kept, v0=start)[2].T if kept > 0 else None

    def __call__(self, documents: Sequence[list[str]]) -> Any:
        """One row for each text."""
        rows = self._tf_idf(documents)
        return rows if self._axes is None else rows @ self._axes


def ordinary_scores(
    asked: Halves, documents: Sequence[list[str]], dim: int, min_count: int, seed: int
) -> list[MethodScore]:
    """tf-idf and latent semantic indexing on the same questions."""
    tf_idf = TfIdf(documents, min_count)
    lsi = Lsi(tf_idf, documents, dim)
    return [
        method_score("tf-idf", asked.scores(tf_idf), seed=seed),
        method_score("tf-idf, SVD (LSI)", asked.scores(lsi), seed=seed),
    ]
