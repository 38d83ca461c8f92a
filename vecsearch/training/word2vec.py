"""word2vec: train word vectors on your own corpus (gensim, the extra `train`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vecsearch.common.gate import gated
from vecsearch.embedders.tokens import Tokenizer
from vecsearch.embedders.words import WordEmbedder
from vecsearch.training.gensim import Progress, check_settings, skip_gram, tokenize_corpus


@gated
def train_word2vec(
    corpus: Iterable[str | Sequence[str]],
    *,
    dim: int = 100,
    window: int = 5,
    epochs: int = 5,
    min_count: int = 5,
    negative: int = 5,
    sg: bool = True,
    cutting: Tokenizer | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> WordEmbedder:
    """Train word vectors (Mikolov et al., NIPS 2013).

    With one worker the same seed gives the same vectors.

    Args:
        corpus: Texts, or lists of words.
        dim: Length of the vectors.
        window: How many neighbors on each side count as context.
        epochs: Passes over the corpus.
        min_count: Words that occur less often get no vector.
        negative: Negative samples for each pair.
        sg: Whether to train skip-gram, else continuous bag of words.
        cutting: How Chinese becomes words: "words" (characters) or "jieba"; None takes jieba where
            there is Chinese.
        seed: Seed of all random choices.
        workers: Threads.
        progress: Called with the number of finished epochs and of all epochs.

    Returns:
        The embedder. Save it with `.save(folder)`.

    Raises:
        InvalidInputError: No word occurs `min_count` times.
        MissingExtraError: The extra `train` is not installed.

    Example:
        >>> words = train_word2vec(["the sea and the sun"] * 5, dim=8, epochs=1)
        >>> words.embed_documents(["the sea"]).shape
        (1, 8)
    """
    check_settings(
        dim=dim, window=window, epochs=epochs, negative=negative, seed=seed, workers=workers
    )
    words, cutting = tokenize_corpus(corpus, cutting, min_count)
    keys, vectors = skip_gram(
        words,
        dim=dim,
        window=window,
        epochs=epochs,
        min_count=min_count,
        negative=negative,
        seed=seed,
        workers=workers,
        progress=progress,
        sg=sg,
    )
    about = {
        "trained": "word2vec",
        "documents": len(words),
        "window": window,
        "epochs": epochs,
        "min_count": min_count,
        "negative": negative,
        "sg": sg,
        "seed": seed,
    }
    return WordEmbedder(keys, vectors, "words:unsaved", cutting=cutting, about=about)
