"""fastText: train word vectors with character n-grams (gensim, the extra `train`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vecsearch.common.gate import gated
from vecsearch.common.optional import gensim_models
from vecsearch.embedders.fasttext import FastTextEmbedder
from vecsearch.embedders.tokens import Tokenizer
from vecsearch.training.gensim import Progress, callbacks, check_settings, tokenize_corpus


@gated
def train_fasttext(
    corpus: Iterable[str | Sequence[str]],
    *,
    dim: int = 100,
    window: int = 5,
    epochs: int = 5,
    min_count: int = 5,
    negative: int = 5,
    min_n: int = 3,
    max_n: int = 6,
    buckets: int = 200_000,
    cutting: Tokenizer | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> FastTextEmbedder:
    """Train word vectors that also cover unknown words (Bojanowski et al., TACL 2017).

    With one worker the same seed gives the same vectors.

    Args:
        corpus: Texts, or lists of words.
        dim: Length of the vectors.
        window: How many neighbors on each side count as context.
        epochs: Passes over the corpus.
        min_count: Words that occur less often get no vector of their own.
        negative: Negative samples for each pair.
        min_n: Characters of the shortest n-gram; for Chinese, whose words are short, take 1.
        max_n: Characters of the longest n-gram; for Chinese take 2.
        buckets: Vectors that all n-grams share, by hashing.
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
        >>> words = train_fasttext(["the sea and the sun"] * 5, dim=8, epochs=1, buckets=100)
        >>> bool(words.embed_documents(["seaside"]).any())  # an unknown word
        True
    """
    check_settings(
        dim=dim,
        window=window,
        epochs=epochs,
        negative=negative,
        seed=seed,
        workers=workers,
        min_n=min_n,
        max_n=max_n,
        buckets=buckets,
    )
    words, cutting = tokenize_corpus(corpus, cutting, min_count)
    model = gensim_models("Training fastText").FastText(
        sentences=words,
        vector_size=dim,
        window=window,
        epochs=epochs,
        min_count=min_count,
        sg=1,
        negative=negative,
        min_n=min_n,
        max_n=max_n,
        bucket=buckets,
        seed=seed,
        workers=workers,
        callbacks=callbacks(progress, epochs),
    )
    about = {
        "trained": "fasttext",
        "documents": len(words),
        "window": window,
        "epochs": epochs,
        "min_count": min_count,
        "negative": negative,
        "seed": seed,
    }
    wv = model.wv
    return FastTextEmbedder(
        wv.index_to_key,
        wv.vectors,
        wv.vectors_ngrams,
        min_n=min_n,
        max_n=max_n,
        cutting=cutting,
        about=about,
    )
