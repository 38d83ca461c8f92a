"""What the trainers that use gensim share: cutting a corpus into words, progress, and skip-gram.

gensim saves models by pickle, so its models are only used in memory: vectors and parameters are
copied out of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arguments import check_whole
from vecsearch.common.optional import gensim_models, require
from vecsearch.common.show import shown
from vecsearch.embedders import tokens
from vecsearch.errors import InvalidInputError
from vecsearch.training.stopping import StopTrainingError, Watch
from vecsearch.types import counted

LARGEST_SETTING = 1_000_000  # for vectors of so many numbers, for so many epochs
LARGEST_SEED = 2**31 - 1
Progress = Callable[[int, int], None]
"""Called with the number of finished epochs and of all epochs; raise in it to stop the training."""


def tokenize_corpus(
    corpus: Iterable[str | Sequence[str]], cutting: tokens.Tokenizer | None, min_count: int
) -> tuple[list[list[str]], tokens.Tokenizer]:
    """Cut a corpus into words.

    Args:
        corpus: Texts, or lists of words, which are used as they are.
        cutting: How Chinese becomes words; None takes jieba if any text contains Chinese.
        min_count: How often at least one word must occur.

    Returns:
        The documents as lists of words, and the cutting that was used.

    Raises:
        InvalidInputError: No word occurs `min_count` times.
        MissingExtraError: jieba is needed and not installed.
    """
    documents = list(corpus)
    for number, document in enumerate(documents):
        if not isinstance(document, str | list | tuple) or not (
            isinstance(document, str) or all(isinstance(word, str) for word in document)
        ):
            raise InvalidInputError(
                f"document {number} is {shown(document)}; it must be a text or a list of words"
            )
    check_whole("min_count", min_count, 1)
    if cutting is None:
        cutting = (
            "jieba"
            if any(tokens.has_runs(text) for text in documents if isinstance(text, str))
            else "words"
        )
    cut = tokens.tokenizer(cutting)
    words = [
        cut(document) if isinstance(document, str) else list(document) for document in documents
    ]
    counts = Counter(word for document in words for word in document)
    if not counts or max(counts.values()) < min_count:
        raise InvalidInputError(
            f"nothing to train on: of {counted(len(counts), 'distinct word')} in "
            f"{counted(len(words), 'document')} none "
            f"occurs {counted(min_count, 'time')} (min_count)"
        )
    return words, cutting


def check_settings(**settings: int) -> None:
    """Raise InvalidInputError for a setting that is no whole number in its range."""
    for name, value in settings.items():
        largest = LARGEST_SEED if name == "seed" else LARGEST_SETTING
        if check_whole(name, value, 0 if name in ("seed", "negative") else 1) > largest:
            raise InvalidInputError(f"{name} is {value:,}; it must be {largest:,} or less")


def fit(
    model: Any,
    documents: Sequence[Any],
    epochs: int,
    progress: Progress | None,
    watch: Watch[Any] | None = None,
    every: int = 1,
) -> None:
    """Train a gensim model, until a held-out measure gets worse.

    Args:
        model: A Word2Vec, FastText or Doc2Vec without a vocabulary.
        documents: What it is trained on.
        epochs: The most passes over the documents.
        progress: Called after each pass.
        watch: What decides when to stop; None trains for all epochs.
        every: How many epochs lie between two measurements.
    """
    base = require("gensim.models.callbacks", "gensim", "train", "Training").CallbackAny2Vec
    epoch = 0

    def after_epoch(self: object, model: Any) -> None:
        nonlocal epoch
        epoch += 1
        if progress is not None:
            progress(epoch, epochs)
        if watch is not None and (epoch % every == 0 or epoch == epochs) and watch.after(epoch):
            raise StopTrainingError

    callback = type("AfterEpoch", (base,), {"on_epoch_end": after_epoch})()
    model.build_vocab(documents)
    try:
        model.train(
            documents,
            total_examples=model.corpus_count,
            total_words=model.corpus_total_words,
            epochs=epochs,
            callbacks=[callback],
        )
    except StopTrainingError:
        if progress is not None and epoch < epochs:
            progress(epochs, epochs)


def skip_gram(
    sentences: Sequence[Sequence[str]],
    *,
    dim: int,
    window: int,
    epochs: int,
    min_count: int,
    negative: int,
    seed: int,
    workers: int,
    progress: Progress | None,
    sample: float = 1e-3,
    ns_exponent: float = 0.75,
    sg: bool = True,
    shrink_windows: bool = True,
    what_for: str = "Training word vectors",
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """word2vec with negative sampling (Mikolov et al., NIPS 2013).

    With one worker, runs on one machine with one version of gensim give the same vectors; with more
    workers they differ.

    Returns:
        The keys by falling frequency, and their vectors: float32, shape (keys, dim).
    """
    model = gensim_models(what_for).Word2Vec(
        vector_size=dim,
        window=window,
        epochs=epochs,
        min_count=min_count,
        sg=int(sg),
        negative=negative,
        seed=seed,
        workers=workers,
        sample=sample,
        ns_exponent=ns_exponent,
        shrink_windows=shrink_windows,
    )
    fit(model, sentences, epochs, progress)
    return list(model.wv.index_to_key), np.array(model.wv.vectors, dtype=np.float32)
