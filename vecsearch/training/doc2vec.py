"""Train Doc2Vec on your own documents (the extra `train`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vecsearch.common.optional import gensim_models
from vecsearch.embedders import tokens
from vecsearch.embedders.doc2vec import Doc2VecEmbedder
from vecsearch.training.gensim import Progress, callbacks, tokenize_corpus


def train_doc2vec(
    corpus: Iterable[str | Sequence[str]],
    *,
    dim: int = 100,
    window: int = 5,
    epochs: int = 20,
    min_count: int = 2,
    negative: int = 5,
    dm: bool = False,
    cutting: tokens.Tokenizer | None = None,
    infer_epochs: int = 50,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> Doc2VecEmbedder:
    """An embedder trained on texts, or on lists of words. Save it with `.save(folder)`.

    dm: distributed memory, else distributed bag of words. cutting: how texts become words; None chooses jieba where there
    is Chinese. The same seed gives the same vectors with one worker. Raises InvalidInputError when there is nothing to
    train on.
    """
    words, cutting = tokenize_corpus(corpus, cutting, min_count)
    models = gensim_models("Training Doc2Vec")
    documents = [
        models.doc2vec.TaggedDocument(document, [row]) for row, document in enumerate(words)
    ]
    model = models.Doc2Vec(
        documents,
        vector_size=dim,
        window=window,
        epochs=epochs,
        min_count=min_count,
        negative=negative,
        dm=int(dm),
        seed=seed,
        workers=workers,
        callbacks=callbacks(progress, epochs),
    )
    return Doc2VecEmbedder(model, cutting, infer_epochs)
