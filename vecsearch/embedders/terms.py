"""Texts as counts of their words, weighted by how rare a word is (tf-idf), in hashed buckets.

A floor without weights for what needs vectors of texts: it knows which words texts share, and
nothing of what they mean. A count c adds 1 + log(c); a word that d of n texts have is weighted
log((1 + n) / (1 + d)) + 1; vectors have length 1. (Salton and Buckley, "Term-weighting approaches
in automatic text retrieval", 1988; hashing as Weinberger et al., "Feature Hashing", 2009.)
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.embedders.inputs import strings
from vecsearch.embedders.saved import Saved, TrainedEmbedder
from vecsearch.text.analyzer import Analyzer

BUCKETS = 2048


class TermEmbedder(TrainedEmbedder):
    """Embeds texts by their words.

    Args:
        weights: float64 (dim,): the weight of each bucket.
        name: The embedder's name.

    Example:
        >>> terms = fit_terms(["a red bus", "a red ship"])
        >>> vectors = terms.embed_documents(["red ship", "the red ship", "blue"])
        >>> bool(vectors[0] @ vectors[1] > 0.5), float(vectors[0] @ vectors[2])
        (True, 0.0)
    """

    def __init__(self, weights: npt.NDArray[np.float64], name: str = "terms:unsaved") -> None:
        super().__init__(name, len(weights))
        self.weights = np.asarray(weights, np.float64)

    def embed_documents(self, documents: Sequence[str]) -> Vectors:
        """Embed texts, queries and documents alike; a text without words gives the zero vector.

        Args:
            documents: Texts.

        Returns:
            float32, shape (len(documents), dim), of length 1.

        Raises:
            InvalidInputError: A document is not a string.
        """
        counts = _counts(strings(documents, self.name), self.dim)
        vectors = np.where(counts > 0, 1.0 + np.log(np.maximum(counts, 1.0)), 0.0) * self.weights
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), np.float32)

    def _saved(self) -> Saved:
        return Saved("terms", {}, (), {"weights": self.weights})


def fit_terms(texts: Sequence[str], buckets: int = BUCKETS) -> TermEmbedder:
    """Learn the weights of words from texts.

    Args:
        texts: Texts.
        buckets: The length of the vectors; words that fall into one bucket count as one.

    Returns:
        The embedder.
    """
    having = (_counts(strings(texts, "terms"), buckets) > 0).sum(axis=0)
    return TermEmbedder(np.log((1.0 + len(texts)) / (1.0 + having)) + 1.0)


def _counts(texts: Sequence[str], buckets: int) -> npt.NDArray[np.float64]:
    """How often each bucket's words occur: (len(texts), buckets)."""
    analyzer = Analyzer()
    counts = np.zeros((len(texts), buckets))
    for row, text in enumerate(texts):
        for term, count in Counter(analyzer.terms(text)).items():
            counts[row, zlib.crc32(term.encode("utf-8", "surrogatepass")) % buckets] += count
    return counts


def from_saved(saved: Saved, name: str) -> TermEmbedder:
    """The embedder that `TermEmbedder.save` wrote."""
    return TermEmbedder(saved.arrays["weights"], name)
