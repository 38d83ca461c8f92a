"""fastText: train word vectors with character n-grams (gensim, the extra `train`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.gate import gated
from vecsearch.common.optional import gensim_models
from vecsearch.embedders.fasttext import FastTextEmbedder
from vecsearch.embedders.tokens import Tokenizer
from vecsearch.training.gensim import Progress, check_settings, fit
from vecsearch.training.stopping import check_stopping, epochs_for
from vecsearch.training.word_texts import word_texts

LEAST_EPOCHS = 5


@gated
def train_fasttext(
    corpus: Iterable[str | Sequence[str]],
    *,
    dim: int = 100,
    window: int = 5,
    epochs: int | None = None,
    min_count: int = 5,
    negative: int = 5,
    min_n: int = 3,
    max_n: int = 6,
    buckets: int = 200_000,
    cutting: Tokenizer | None = None,
    held_out: float = 0.1,
    patience: int = 2,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> FastTextEmbedder:
    """Train word vectors that also cover unknown words (Bojanowski et al., TACL 2017).

    With one worker the same seed gives the same vectors. A part of the texts is held out: training
    stops when the words of that part are told less well from random words by the words around them,
    and `report` compares with vectors by counting (PPMI and SVD).

    Args:
        corpus: Texts, or lists of words.
        dim: Length of the vectors.
        window: How many neighbors on each side count as context.
        epochs: The most passes over the corpus; None takes 5 for a million words or more, and more
            for fewer words, up to 50.
        min_count: Words that occur less often get no vector of their own.
        negative: Negative samples for each pair.
        min_n: Characters of the shortest n-gram; for Chinese, whose words are short, take 1.
        max_n: Characters of the longest n-gram; for Chinese take 2.
        buckets: Vectors that all n-grams share, by hashing.
        cutting: How Chinese becomes words: "words" (characters) or "jieba"; None takes jieba where
            there is Chinese.
        held_out: The share of the texts to hold out; 0 trains on all, for all epochs.
        patience: Stop after so many epochs in a row that are no better on the held-out part.
        seed: Seed of all random choices.
        workers: Threads.
        progress: Called with the number of finished epochs and of all epochs.

    Returns:
        The embedder. Save it with `.save(folder)`; `.report` is what was measured.

    Raises:
        InvalidInputError: No word occurs `min_count` times, or a setting is wrong.
        MissingExtraError: The extra `train` is not installed.

    Example:
        >>> words = train_fasttext(["the sea and the sun"] * 5, dim=8, epochs=1, buckets=100)
        >>> bool(words.embed_documents(["seaside"]).any())  # an unknown word
        True
    """
    check_settings(
        dim=dim,
        window=window,
        negative=negative,
        seed=seed,
        workers=workers,
        min_n=min_n,
        max_n=max_n,
        buckets=buckets,
    )
    check_stopping(held_out, patience, epochs)
    texts = word_texts(
        corpus, cutting, min_count=min_count, held_out=held_out, window=window, seed=seed
    )
    most = epochs_for(int(texts.counts.sum()), epochs, LEAST_EPOCHS)
    model = gensim_models("Training fastText").FastText(
        vector_size=dim,
        window=window,
        epochs=most,
        min_count=min_count,
        sg=1,
        negative=negative,
        min_n=min_n,
        max_n=max_n,
        bucket=buckets,
        seed=seed,
        workers=workers,
    )

    def state() -> tuple[Vectors, Vectors]:
        """The vectors of the words, their n-grams included, and those of the n-grams."""
        model.wv.adjust_vectors()
        return (
            np.array(model.wv.vectors, np.float32),
            np.array(model.wv.vectors_ngrams, np.float32),
        )

    watch = texts.watch(lambda: (model.wv.index_to_key, state()[0]), state, patience)
    fit(model, texts.documents, most, progress, watch)
    vectors, ngrams = state() if watch is None or watch.best is None else watch.best
    keys = list(model.wv.index_to_key)
    about = {
        "trained": "fasttext",
        "documents": len(texts.documents),
        "window": window,
        "epochs": most if watch is None else watch.best_epoch,
        "min_count": min_count,
        "negative": negative,
        "seed": seed,
    }
    trained = FastTextEmbedder(
        keys,
        vectors,
        ngrams,
        min_n=min_n,
        max_n=max_n,
        cutting=texts.cutting,
        about=about,
    )
    trained.report = texts.report("fasttext", keys, vectors, watch, most)
    return trained
