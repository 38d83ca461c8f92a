"""word2vec: train word vectors on your own corpus (gensim, the extra `train`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from vecsearch.common.gate import gated
from vecsearch.common.optional import gensim_models
from vecsearch.embedders.tokens import Tokenizer
from vecsearch.embedders.words import WordEmbedder
from vecsearch.training.gensim import Progress, check_settings, fit
from vecsearch.training.stopping import check_stopping, epochs_for
from vecsearch.training.word_texts import word_texts

LEAST_EPOCHS = 5


@gated
def train_word2vec(
    corpus: Iterable[str | Sequence[str]],
    *,
    dim: int = 100,
    window: int = 5,
    epochs: int | None = None,
    min_count: int = 5,
    negative: int = 5,
    sg: bool = True,
    cutting: Tokenizer | None = None,
    held_out: float = 0.1,
    patience: int = 2,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> WordEmbedder:
    """Train word vectors (Mikolov et al., NIPS 2013).

    With one worker the same seed gives the same vectors. A part of the texts is held out: training
    stops when the words of that part are told less well from random words by the words around them,
    and `report` compares with vectors by counting (PPMI and SVD).

    Args:
        corpus: Texts, or lists of words.
        dim: Length of the vectors.
        window: How many neighbors on each side count as context.
        epochs: The most passes over the corpus; None takes 5 for a million words or more, and more
            for fewer words, up to 50.
        min_count: Words that occur less often get no vector.
        negative: Negative samples for each pair.
        sg: Whether to train skip-gram, else continuous bag of words.
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
        >>> words = train_word2vec(["the sea and the sun"] * 5, dim=8, epochs=1)
        >>> words.embed_documents(["the sea"]).shape
        (1, 8)
    """
    check_settings(dim=dim, window=window, negative=negative, seed=seed, workers=workers)
    check_stopping(held_out, patience, epochs)
    texts = word_texts(
        corpus, cutting, min_count=min_count, held_out=held_out, window=window, seed=seed
    )
    most = epochs_for(int(texts.counts.sum()), epochs, LEAST_EPOCHS)
    model = gensim_models("Training word2vec").Word2Vec(
        vector_size=dim,
        window=window,
        epochs=most,
        min_count=min_count,
        sg=int(sg),
        negative=negative,
        seed=seed,
        workers=workers,
    )
    watch = texts.watch(
        lambda: (model.wv.index_to_key, model.wv.vectors),
        lambda: np.array(model.wv.vectors, np.float32),
        patience,
    )
    fit(model, texts.documents, most, progress, watch)
    keys = list(model.wv.index_to_key)
    vectors = np.array(model.wv.vectors, np.float32) if watch is None else watch.best
    assert vectors is not None
    about = {
        "trained": "word2vec",
        "documents": len(texts.documents),
        "window": window,
        "epochs": most if watch is None else watch.best_epoch,
        "min_count": min_count,
        "negative": negative,
        "sg": sg,
        "seed": seed,
    }
    trained = WordEmbedder(keys, vectors, "words:unsaved", cutting=texts.cutting, about=about)
    trained.report = texts.report("word2vec", keys, vectors, watch, most)
    return trained
