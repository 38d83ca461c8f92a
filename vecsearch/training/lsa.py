"""Fit latent semantic analysis: tf-idf and its largest singular vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vecsearch.embedders.lsa import LsaEmbedder, word_weights
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
    from scipy.sparse import csr_matrix
    from sklearn.utils.extmath import randomized_svd

    analyzer = Analyzer(language=language)
    often: Counter[str] = Counter()
    for text in texts:
        often.update(set(analyzer.terms(text)))
    repeated = {word: count for word, count in often.items() if count > 1}
    ordered = sorted(repeated or often, key=lambda word: (-often[word], word))
    words = sorted(ordered[:MOST_WORDS])
    if not words:
        raise InvalidInputError("nothing to fit on: no text has a word")
    rarity = np.log((1 + len(texts)) / (1 + np.array([often[word] for word in words]))) + 1
    row = {word: number for number, word in enumerate(words)}
    weights = csr_matrix(word_weights(texts, row, rarity.astype(np.float32), analyzer))
    size = min(dim, min(weights.shape))
    _, _, axes = randomized_svd(weights, size, random_state=seed)
    return LsaEmbedder(words, rarity.astype(np.float32), axes.T.astype(np.float32), language)
