"""What the trainers on gensim share: a corpus as lists of words, progress, and one call of Word2Vec.

gensim saves models by pickle, so its models are only used in memory: vectors and parameters are taken out of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.optional import gensim_models, require
from vecsearch.embedders import tokens
from vecsearch.errors import InvalidInputError

Progress = Callable[
    [int, int], None
]  # called with epochs done and epochs in all; raise in it to stop the training


def tokenize_corpus(
    corpus: Iterable[str | Sequence[str]], cutting: tokens.Tokenizer | None, min_count: int
) -> tuple[list[list[str]], tokens.Tokenizer]:
    """(documents as lists of words, the cutting used); None cuts by jieba once any text holds Chinese, else by spaces.

    A document that is a list already is taken as words. Raises InvalidInputError when no word comes `min_count` times.
    """
    documents = list(corpus)
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
            f"nothing to train on: of {len(counts)} distinct words in {len(words)} documents none comes {min_count} times "
            "(min_count)"
        )
    return words, cutting


def callbacks(progress: Progress | None, epochs: int) -> list[Any]:
    """gensim's callbacks that report each epoch."""
    if progress is None:
        return []
    base = require("gensim.models.callbacks", "gensim", "train", "Training").CallbackAny2Vec
    done = count(1)
    report = type(
        "Report", (base,), {"on_epoch_end": lambda self, model: progress(next(done), epochs)}
    )
    return [report()]


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
    """Word2vec with negative sampling (Mikolov et al., NIPS 2013): (keys by falling frequency, vectors).

    The same on every run of one machine and library version for `workers=1`; more workers are faster and not.
    """
    model = gensim_models(what_for).Word2Vec(
        sentences=sentences,
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
        callbacks=callbacks(progress, epochs),
    )
    return list(model.wv.index_to_key), np.array(model.wv.vectors, dtype=np.float32)
