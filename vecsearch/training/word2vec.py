"""Train word vectors on a corpus of one's own: word2vec by gensim (the extra `train`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vecsearch.embedders.tokens import Tokenizer
from vecsearch.embedders.words import WordEmbedder
from vecsearch.training.gensim import Progress, skip_gram, tokenize_corpus


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
    """An embedder trained on texts, or on lists of words. Save it with `.save(folder)`.

    sg: skip-gram, else continuous bag of words. cutting: how texts become words; None chooses jieba where there is Chinese.
    The same seed gives the same vectors with one worker. Raises InvalidInputError when there is nothing to train on.
    """
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
