"""Doc2Vec: train document vectors on your own documents (gensim, the extra `train`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vecsearch.common.gate import gated
from vecsearch.common.optional import gensim_models
from vecsearch.embedders import tokens
from vecsearch.embedders.doc2vec import Doc2VecEmbedder
from vecsearch.training.gensim import Progress, callbacks, check_settings, tokenize_corpus


@gated
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
    """Train paragraph vectors (Le and Mikolov, ICML 2014).

    With one worker the same seed gives the same vectors.

    Args:
        corpus: Texts, or lists of words.
        dim: Length of the vectors.
        window: How many neighbors on each side count as context.
        epochs: Passes over the corpus.
        min_count: Words that occur less often are ignored.
        negative: Negative samples for each pair.
        dm: Whether to train distributed memory, else distributed bag of words.
        cutting: How Chinese becomes words: "words" (characters) or "jieba"; None takes jieba where
            there is Chinese.
        infer_epochs: Passes over a text when its vector is inferred.
        seed: Seed of all random choices.
        workers: Threads.
        progress: Called with the number of finished epochs and of all epochs.

    Returns:
        The embedder. Save it with `.save(folder)`.

    Raises:
        InvalidInputError: No word occurs `min_count` times.
        MissingExtraError: The extra `train` is not installed.

    Example:
        >>> documents = train_doc2vec(["the sea and the sun"] * 5, dim=8, epochs=1)
        >>> documents.embed_documents(["the sun"]).shape
        (1, 8)
    """
    check_settings(
        dim=dim,
        window=window,
        epochs=epochs,
        negative=negative,
        seed=seed,
        workers=workers,
        infer_epochs=infer_epochs,
    )
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
