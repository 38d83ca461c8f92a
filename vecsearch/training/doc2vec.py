"""Doc2Vec: train document vectors on your own documents (gensim, the extra `train`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vecsearch.common.gate import gated
from vecsearch.common.optional import gensim_models
from vecsearch.embedders import tokens
from vecsearch.embedders.doc2vec import Doc2VecEmbedder
from vecsearch.training.cooccurrence import vocabulary
from vecsearch.training.doc_texts import MEASURE, halves, ordinary_scores
from vecsearch.training.gensim import Progress, check_settings, fit, tokenize_corpus
from vecsearch.training.report import TrainingReport, method_score
from vecsearch.training.stopping import (
    Watch,
    check_stopping,
    epochs_for,
    held_out_rows,
    nothing_measured,
)
from vecsearch.training.word_texts import LONGEST_PASSAGE

LEAST_EPOCHS = 20
MEASUREMENTS = 10  # while training: one is as long as an epoch over thousands of texts
MOST_HELD_OUT = 400


@gated
def train_doc2vec(
    corpus: Iterable[str | Sequence[str]],
    *,
    dim: int = 100,
    window: int = 5,
    epochs: int | None = None,
    min_count: int = 2,
    negative: int = 5,
    dm: bool = False,
    cutting: tokens.Tokenizer | None = None,
    infer_epochs: int = 50,
    held_out: float = 0.1,
    patience: int = 2,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> Doc2VecEmbedder:
    """Train paragraph vectors (Le and Mikolov, ICML 2014).

    With one worker the same seed gives the same vectors. A part of the texts is held out: training
    stops when the second half of a text of that part is found less well by its first half, and
    `report` compares with tf-idf and latent semantic indexing.

    Args:
        corpus: Texts, or lists of words.
        dim: Length of the vectors.
        window: How many neighbors on each side count as context.
        epochs: The most passes over the corpus; None takes 20 for a large corpus, and more for a
            small one, up to 50.
        min_count: Words that occur less often are ignored.
        negative: Negative samples for each pair.
        dm: Whether to train distributed memory, else distributed bag of words.
        cutting: How Chinese becomes words: "words" (characters) or "jieba"; None takes jieba where
            there is Chinese.
        infer_epochs: Passes over a text when its vector is inferred.
        held_out: The share of the texts to hold out, at most 400 texts; 0 trains on all, for all
            epochs.
        patience: Stop after so many measurements in a row that are no better; there are about ten.
        seed: Seed of all random choices.
        workers: Threads.
        progress: Called with the number of finished epochs and of all epochs.

    Returns:
        The embedder. Save it with `.save(folder)`; `.report` is what was measured.

    Raises:
        InvalidInputError: No word occurs `min_count` times, or a setting is wrong.
        MissingExtraError: The extra `train` is not installed.

    Example:
        >>> documents = train_doc2vec(["the sea and the sun"] * 5, dim=8, epochs=1)
        >>> documents.embed_documents(["the sun"]).shape
        (1, 8)
    """
    check_settings(
        dim=dim,
        window=window,
        negative=negative,
        seed=seed,
        workers=workers,
        infer_epochs=infer_epochs,
    )
    check_stopping(held_out, patience, epochs)
    documents, cutting = tokenize_corpus(corpus, cutting, min_count)
    rows = held_out_rows(len(documents), held_out, seed, MOST_HELD_OUT)
    train, *parts = ([documents[row] for row in part] for part in rows)
    stopping, reporting = (halves(part) for part in parts)
    words, counts = vocabulary(train, min_count)
    if not (stopping.first and reporting.first and words):
        train = documents
        words, counts = vocabulary(train, min_count)
    measured = train is not documents
    most = epochs_for(int(counts.sum()), epochs, LEAST_EPOCHS)
    models = gensim_models("Training Doc2Vec")
    model = models.Doc2Vec(
        vector_size=dim,
        window=window,
        epochs=most,
        min_count=min_count,
        negative=negative,
        dm=int(dm),
        seed=seed,
        workers=workers,
    )
    trained = Doc2VecEmbedder(model, cutting, infer_epochs)

    def measure() -> float:
        """The measure of the present state; inferring draws from the model's random numbers."""
        before = model.random.get_state()
        value = float(stopping.scores(trained.embed_words).mean())
        model.random.set_state(before)
        return value

    def state() -> tuple[Any, Any]:
        return np.array(model.wv.vectors), np.array(model.syn1neg)

    watch = Watch(measure, state, patience) if measured else None
    tagged = [
        models.doc2vec.TaggedDocument(words[start : start + LONGEST_PASSAGE], [row])
        for row, words in enumerate(train)
        for start in range(0, max(1, len(words)), LONGEST_PASSAGE)
    ]
    fit(model, tagged, most, progress, watch, max(1, most // MEASUREMENTS))
    if watch is not None and watch.best is not None:
        model.wv.vectors, model.syn1neg = watch.best
    trained_on = {
        "documents": len(train),
        "words": int(counts.sum()),
        "distinct words": len(words),
    }
    if watch is None:
        note = nothing_measured(held_out, "texts")
        trained.report = TrainingReport("doc2vec", trained_on, "", (), most, "", (note,))
        return trained
    own = method_score("doc2vec", reporting.scores(trained.embed_words), seed=seed)
    trained.report = TrainingReport(
        "doc2vec",
        trained_on,
        f"{MEASURE} ({len(reporting.first):,} texts)",
        (own, *ordinary_scores(reporting, train, dim, min_count, seed)),
        watch.best_epoch,
        watch.reason(most),
    )
    return trained
