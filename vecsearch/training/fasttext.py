"""Train fastText on your own corpus (the extra `train`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vecsearch.common.optional import gensim_models
from vecsearch.embedders.fasttext import FastTextEmbedder
from vecsearch.embedders.tokens import Tokenizer
from vecsearch.training.gensim import Progress, callbacks, tokenize_corpus


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
    """An embedder trained on texts, or on lists of words; n-grams of min_n to max_n characters share `buckets` vectors.

    For Chinese, whose words are short, min_n=1 and max_n=2 serve better. The same seed gives the same vectors with one
    worker. Raises InvalidInputError when there is nothing to train on.
    """
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
