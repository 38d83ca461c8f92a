"""How good word vectors are on texts they were not trained on: which word belongs here?

A word of a held-out text is compared with words drawn at random, by the cosine with the mean vector
of the words around it. The measure is the share of random words that are less similar: .5 is
chance. Frequent words count less, as in word2vec's subsampling (Mikolov et al., NIPS 2013), and the
random words are drawn with the same frequencies, so that frequency alone gives chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vecsearch.training.cooccurrence import Ids

RANDOM_WORDS = 10
SUBSAMPLING = 1e-3
QUESTIONS = 10_000
MOST_OF_A_TEXT = 50
_CHUNK = 2000
MEASURE = "share of random words that fit a gap in a held-out text less than its own word"


@dataclass(frozen=True)
class Gaps:
    """Questions about held-out texts.

    Attributes:
        around: Words around each gap, -1 where there is none: shape (questions, 2 * window).
        word: The word that belongs there: shape (questions,).
        others: Random words: shape (questions, 10).
        text: The number of the text: shape (questions,).
    """

    around: Ids
    word: Ids
    others: Ids
    text: Ids

    def scores(self, vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """The measure for each text that has a gap: float64.

        Args:
            vectors: A vector for each word, shape (words, dim).
        """
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float64)
        shares = np.empty(len(self.word))
        for start in range(0, len(self.word), _CHUNK):
            rows = slice(start, start + _CHUNK)
            around = self.around[rows]
            means = (vectors[around] * (around >= 0)[:, :, None]).sum(axis=1)
            own = np.einsum("qd,qd->q", means, unit[self.word[rows]])[:, None]
            other = np.einsum("qd,qnd->qn", means, unit[self.others[rows]])
            shares[rows] = ((own > other) + 0.5 * (own == other)).mean(axis=1)
        _, number, counts = np.unique(self.text, return_inverse=True, return_counts=True)
        return np.bincount(number, shares) / counts


def gaps(texts: Sequence[Ids], frequencies: Ids, window: int, seed: int) -> Gaps:
    """Make questions about texts.

    Args:
        texts: Held-out texts, as numbers of words.
        frequencies: How often each word occurs in the texts that are trained on.
        window: How many words on each side of a gap are used.
        seed: Seed of the gaps and the random words.
    """
    random = np.random.default_rng(seed)
    share = frequencies / frequencies.sum()
    kept = np.minimum(1.0, np.sqrt(SUBSAMPLING / share))
    kept /= kept.max()  # where there are few words, all are frequent
    drawn = share * kept / (share * kept).sum()
    around, word, number = [], [], []
    offsets = np.array([*range(-window, 0), *range(1, window + 1)])
    most = max(1, min(MOST_OF_A_TEXT, QUESTIONS // max(1, len(texts))))
    for at, text in enumerate(texts):
        if len(text) < 2:
            continue
        places = np.flatnonzero(random.random(len(text)) < kept[text])
        places = random.permutation(places)[:most]
        near = places[:, None] + offsets
        inside = (near >= 0) & (near < len(text))
        around.append(np.where(inside, text[np.clip(near, 0, len(text) - 1)], -1))
        word.append(text[places])
        number.append(np.full(len(places), at))
    if not word:
        none = np.zeros(0, np.int64)
        return Gaps(none.reshape(0, 2 * window), none, none.reshape(0, RANDOM_WORDS), none)
    words = np.concatenate(word)
    others = random.choice(len(frequencies), size=(len(words), RANDOM_WORDS), p=drawn)
    return Gaps(np.concatenate(around), words, others, np.concatenate(number))
