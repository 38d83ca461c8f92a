"""GloVe: word vectors from how often words occur near each other.

Pennington, Socher and Manning, "GloVe: Global Vectors for Word Representation" (EMNLP 2014): the
vectors of words i and j, and of j as a context, are fitted so that

    w_i . c_j + b_i + d_j = log X_ij

where X_ij counts how often j occurs near i, a pair at distance d as 1/d (section 4.2). The loss
(equation 8) weighs the squared error of each pair by f(X_ij) = min(1, X_ij / x_max) ** .75, and is
minimized by AdaGrad over the pairs in random order. A word's vector is w + c.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.common.gate import gated
from vecsearch.common.show import shown
from vecsearch.embedders.tokens import Tokenizer
from vecsearch.embedders.words import WordEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.training.cooccurrence import cooccurrences
from vecsearch.training.gensim import Progress, check_settings
from vecsearch.training.stopping import check_stopping, epochs_for
from vecsearch.training.word_texts import word_texts

LEAST_EPOCHS = 25
POWER = 0.75
LEARNING_RATE = 0.05
STEP = 64  # pairs of one word
LOSS_ROWS = 65_536  # pairs whose errors are computed at once
Matrix = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass
class Pairs:
    """The pairs of words that occur near each other, each with its count: shape (pairs,)."""

    word: Rows
    context: Rows
    count: Matrix


@dataclass
class Factors:
    """What is fitted, and the sums of its squared gradients (AdaGrad): all float32.

    Attributes:
        words: Vectors of words with their bias as the last number: shape (words, dim + 1).
        contexts: The same for words as contexts.
        word_squares: Sums of squared gradients of `words`, from 1.
        context_squares: Those of `contexts`.
    """

    words: Vectors
    contexts: Vectors
    word_squares: Vectors
    context_squares: Vectors

    @classmethod
    def at_random(cls, size: int, dim: int, random: np.random.Generator) -> Factors:
        """Small random numbers, as in the authors' program."""
        one, other = (
            ((random.random((size, dim + 1)) - 0.5) / dim).astype(np.float32) for _ in range(2)
        )
        return cls(one, other, np.ones_like(one), np.ones_like(one))

    @property
    def vectors(self) -> Vectors:
        """The vectors of the words: w + c, without the biases."""
        return np.asarray((self.words + self.contexts)[:, :-1])


def pairs_of(counts: object) -> Pairs:
    """The pairs of a sparse matrix of counts, in the order of its rows."""
    entries = counts.tocoo()  # type: ignore[attr-defined]
    return Pairs(
        entries.row.astype(np.int64), entries.col.astype(np.int64), entries.data.astype(np.float64)
    )


def weights(count: Matrix, x_max: float) -> Matrix:
    """f of the paper's equation 9."""
    return np.asarray(np.minimum(1.0, count / x_max) ** POWER)


def errors(factors: Factors, pairs: Pairs, at: slice) -> Matrix:
    """w . c + b + d - log X for some pairs, in double precision."""
    word = factors.words[pairs.word[at]].astype(np.float64)
    context = factors.contexts[pairs.context[at]].astype(np.float64)
    dots = np.einsum("pd,pd->p", word[:, :-1], context[:, :-1])
    return np.asarray(dots + word[:, -1] + context[:, -1] - np.log(pairs.count[at]))


def loss(factors: Factors, pairs: Pairs, x_max: float) -> float:
    """The paper's loss J, over all pairs (equation 8)."""
    total = 0.0
    for start in range(0, len(pairs.count), LOSS_ROWS):
        at = slice(start, start + LOSS_ROWS)
        total += float(weights(pairs.count[at], x_max) @ errors(factors, pairs, at) ** 2)
    return total


def train_epoch(
    factors: Factors, pairs: Pairs, x_max: float, rate: float, random: np.random.Generator
) -> None:
    """One pass over all pairs in random order, in small steps of AdaGrad.

    The pairs of a step have one word and distinct contexts, so that no two of them change the same
    context.
    """
    words, squares = factors.words, factors.word_squares
    order, bounds = _steps(pairs.word, random)
    context = pairs.context[order]
    logs = np.log(pairs.count[order]).astype(np.float32)
    weight = weights(pairs.count[order], x_max).astype(np.float32)
    row = pairs.word[order[bounds[:, 0]]]
    for number in random.permutation(len(bounds)):
        start, end = bounds[number]
        near, own = context[start:end], words[row[number]]
        theirs = factors.contexts[near]
        slope = theirs[:, :-1] @ own[:-1] + theirs[:, -1] + own[-1] - logs[start:end]
        slope *= weight[start:end]
        to_own = slope @ theirs
        to_own[-1] = slope.sum()
        to_theirs = np.outer(slope, own)
        to_theirs[:, -1] = slope
        squares[row[number]] += to_own * to_own
        own -= rate * to_own / np.sqrt(squares[row[number]])
        sums = factors.context_squares[near]
        sums += to_theirs * to_theirs
        factors.context_squares[near] = sums
        to_theirs *= rate
        to_theirs /= np.sqrt(sums, out=sums)
        theirs -= to_theirs
        factors.contexts[near] = theirs


def _steps(word: Rows, random: np.random.Generator) -> tuple[Rows, Rows]:
    """An order of the pairs, and where the steps begin and end in it: shape (steps, 2)."""
    order = random.permutation(len(word))
    order = order[np.argsort(word[order], kind="stable")]
    first = np.flatnonzero(np.diff(word[order], prepend=-1))
    place = np.arange(len(word)) - np.repeat(first, np.diff(np.append(first, len(word))))
    starts = np.flatnonzero(place % STEP == 0)
    return order, np.column_stack([starts, np.append(starts[1:], len(word))])


@gated
def train_glove(
    corpus: Iterable[str | Sequence[str]],
    *,
    dim: int = 100,
    window: int = 10,
    epochs: int | None = None,
    min_count: int = 5,
    x_max: float = 10.0,
    learning_rate: float = LEARNING_RATE,
    cutting: Tokenizer | None = None,
    held_out: float = 0.1,
    patience: int = 3,
    seed: int = 0,
    progress: Progress | None = None,
) -> WordEmbedder:
    """Train GloVe vectors of words (Pennington, Socher and Manning, EMNLP 2014).

    The same seed gives the same vectors. A part of the texts is held out: training stops when the
    words of that part are told less well from random words by the words around them, and `report`
    compares with vectors by counting (PPMI and SVD).

    Args:
        corpus: Texts, or lists of words.
        dim: Length of the vectors.
        window: How many neighbors on each side count as context; one at distance d counts 1/d.
        epochs: The most passes over the pairs of words; None takes 25 for a large corpus, and more
            for a small one, up to 50.
        min_count: Words that occur less often get no vector.
        x_max: Pairs with this count or more have the full weight; the paper takes 100 for billions
            of words.
        learning_rate: The step size of AdaGrad.
        cutting: How Chinese becomes words: "words" (characters) or "jieba"; None takes jieba where
            there is Chinese.
        held_out: The share of the texts to hold out; 0 trains on all, for all epochs.
        patience: Stop after so many epochs in a row that are no better on the held-out part.
        seed: Seed of all random choices.
        progress: Called with the number of finished epochs and of all epochs.

    Returns:
        The embedder. Save it with `.save(folder)`; `.report` is what was measured.

    Raises:
        InvalidInputError: No word occurs `min_count` times, no two words occur together, or a
            setting is wrong.
        MissingExtraError: jieba is needed and not installed.

    Example:
        >>> words = train_glove(["the sea and the sun"] * 5, dim=8, epochs=1)
        >>> words.embed_documents(["the sea"]).shape
        (1, 8)
    """
    check_settings(dim=dim, window=window, seed=seed)
    _check_above_zero(x_max=x_max, learning_rate=learning_rate)
    check_stopping(held_out, patience, epochs)
    texts = word_texts(
        corpus, cutting, min_count=min_count, held_out=held_out, window=window, seed=seed
    )
    pairs = pairs_of(cooccurrences(texts.ids, len(texts.words), window))
    if not len(pairs.count):
        raise InvalidInputError(
            "nothing to train on: no two words that occur often enough (min_count) are in one text"
        )
    most = epochs_for(int(texts.counts.sum()), epochs, LEAST_EPOCHS)
    random = np.random.default_rng(seed)
    factors = Factors.at_random(len(texts.words), dim, random)
    watch = texts.watch(
        lambda: (texts.words, factors.vectors),
        lambda: (factors.vectors, loss(factors, pairs, x_max)),
        patience,
    )
    for epoch in range(1, most + 1):
        train_epoch(factors, pairs, x_max, learning_rate, random)
        if progress is not None:
            progress(epoch, most)
        if watch is not None and watch.after(epoch):
            if progress is not None and epoch < most:
                progress(most, most)
            break
    if watch is None or watch.best is None:
        vectors, last_loss = factors.vectors, loss(factors, pairs, x_max)
    else:
        vectors, last_loss = watch.best
    about = {
        "trained": "glove",
        "documents": len(texts.documents),
        "window": window,
        "epochs": most if watch is None else watch.best_epoch,
        "min_count": min_count,
        "x_max": x_max,
        "learning_rate": learning_rate,
        "loss": last_loss,
        "seed": seed,
    }
    trained = WordEmbedder(
        texts.words,
        vectors,
        "words:unsaved",
        cutting=texts.cutting,
        about=about,
    )
    note = f"Loss of equation 8 over {len(pairs.count):,} pairs: {last_loss:,.4g}."
    trained.report = texts.report("glove", texts.words, vectors, watch, most, (note,))
    return trained


def _check_above_zero(**settings: float) -> None:
    for name, value in settings.items():
        is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not is_number or not 0 < value < float("inf"):
            raise InvalidInputError(f"{name} is {shown(value)}; it must be a number above 0")
