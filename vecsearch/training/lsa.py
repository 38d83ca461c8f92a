"""Fit latent semantic analysis: tf-idf and its largest singular vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.embedders.lsa import LsaEmbedder, rarity_of, word_weights
from vecsearch.errors import InvalidInputError
from vecsearch.text.analyzer import Analyzer

MOST_WORDS = 50_000


def fit_lsa(
    texts: Sequence[str], *, dim: int = 128, language: str | None = "english", seed: int = 0
) -> LsaEmbedder:
    """Fit an embedder on texts.

    Words of a single text are left out, if any word is in two; of more than 50,000 words the most
    frequent are kept.

    Args:
        texts: The texts.
        dim: The most dimensions; fewer where texts or words are fewer.
        language: The language whose word endings are cut off; None keeps them.
        seed: Seed of the singular value decomposition.

    Returns:
        The embedder; save it with `.save(folder)`.

    Raises:
        InvalidInputError: No text has a word.

    Example:
        >>> texts = ["red boats", "a red boat", "green hills", "the green hill"]
        >>> one, other, third, _ = fit_lsa(texts, dim=2).embed_documents(texts)
        >>> bool(one @ other > one @ third)
        True
    """
    analyzer = Analyzer(language=language)
    often: Counter[str] = Counter()
    for text in texts:
        often.update(set(analyzer.terms(text)))
    repeated = {word: count for word, count in often.items() if count > 1}
    ordered = sorted(repeated or often, key=lambda word: (-often[word], word))
    words = sorted(ordered[:MOST_WORDS])
    if not words:
        raise InvalidInputError("nothing to fit on: no text has a word")
    rarity = rarity_of(np.array([often[word] for word in words]), len(texts))
    row = {word: number for number, word in enumerate(words)}
    weights = word_weights(texts, row, rarity.astype(np.float32), analyzer)
    axes = strongest_axes(weights, dim, seed)
    return LsaEmbedder(words, rarity.astype(np.float32), axes.astype(np.float32), language)


def strongest_axes(weights: Any, dim: int, seed: int) -> npt.NDArray[np.float64]:
    """The strongest right singular vectors of a sparse matrix, as columns; at most `dim`."""
    from sklearn.utils.extmath import randomized_svd

    _, _, axes = randomized_svd(weights, min(dim, min(weights.shape)), random_state=seed)
    return np.asarray(axes.T, np.float64)
