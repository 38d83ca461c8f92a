"""Two standard tests of word vectors: analogies, and agreement with similarity ratings."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from vecsearch.embedders.keyed import KeyedVectors
from vecsearch.errors import InvalidInputError

RESTRICT = 300_000  # only so many words, the first and most frequent ones, are used
_BLOCK = 256  # questions answered at a time


def read_analogies(path: str | Path) -> dict[str, list[tuple[str, str, str, str]]]:
    """Read a file in the format of word2vec's questions-words.txt.

    Args:
        path: The file: lines of four words, and lines ": NAME" that begin a section.

    Returns:
        Section -> questions "a b c d".

    Raises:
        InvalidInputError: A line does not have four words; the message names it.
    """
    sections: dict[str, list[tuple[str, str, str, str]]] = {}
    name = "all"
    with Path(path).open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = line.split()
            if line.startswith(":"):
                name = line[1:].strip()
            elif len(words) == 4:
                sections.setdefault(name, []).append((words[0], words[1], words[2], words[3]))
            elif words:
                raise InvalidInputError(
                    f"{path}, line {number}: an analogy has four words, not {len(words)}"
                )
    return sections


def read_similarities(path: str | Path) -> list[tuple[str, str, float]]:
    """Read word pairs with similarity ratings.

    Args:
        path: A file of tab-separated lines "word, word, score"; lines that begin with # are
            comments.

    Returns:
        (word, word, score) triples.

    Raises:
        InvalidInputError: A line is wrong; the message names it.
    """
    pairs = []
    with Path(path).open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#") or not line.strip():
                continue
            try:
                one, other, score = line.rstrip("\n").split("\t")
                pairs.append((one, other, float(score)))
            except ValueError as error:
                raise InvalidInputError(
                    f"{path}, line {number}: expected word, word, number with tabs between"
                ) from error
    return pairs


def analogy_accuracy(
    vectors: KeyedVectors, questions: Sequence[tuple[str, str, str, str]], restrict: int = RESTRICT
) -> tuple[float, int]:
    """How many analogies "a is to b as c is to d" word vectors solve (Mikolov et al., 2013).

    A question is solved if d is the word nearest to b - a + c, among all words but a, b and c.
    Letter case does not matter. A question with a word that has no vector is left out, as is usual.

    Args:
        vectors: The word vectors, most frequent words first.
        questions: (a, b, c, d) words.
        restrict: Only so many words are used.

    Returns:
        (share of the questions solved, questions used); the share is NaN if no question is used.

    Example:
        >>> corners = np.array([[1, 1], [1, 2], [2, 1], [2, 2]], np.float32)
        >>> analogy_accuracy(KeyedVectors(list("abcd"), corners), [("a", "b", "c", "d")])
        (1.0, 1)
    """
    rows = _rows_by_upper(vectors, restrict)
    known = [
        [rows[word.upper()] for word in question]
        for question in questions
        if all(w.upper() in rows for w in question)
    ]
    limit, right = min(restrict, len(vectors)), 0
    unit = vectors.unit[:limit]
    for start in range(0, len(known), _BLOCK):
        a, b, c, d = np.array(known[start : start + _BLOCK]).T
        scores = (unit[b] - unit[a] + unit[c]) @ unit.T
        for given in (a, b, c):
            scores[np.arange(len(given)), given] = -np.inf
        right += int((scores.argmax(axis=1) == d).sum())
    return (right / len(known) if known else float("nan")), len(known)


def similarity_correlation(
    vectors: KeyedVectors, pairs: Sequence[tuple[str, str, float]], restrict: int = RESTRICT
) -> tuple[float, int]:
    """How well the cosines of word pairs agree with human ratings.

    Args:
        vectors: The word vectors, most frequent words first.
        pairs: (word, word, rating) triples; pairs without vectors are left out.
        restrict: Only so many words are used.

    Returns:
        (Spearman's rank correlation, pairs used); the correlation is NaN for fewer than two pairs.
    """
    rows = _rows_by_upper(vectors, restrict)
    known = [
        (rows[a.upper()], rows[b.upper()], score)
        for a, b, score in pairs
        if a.upper() in rows and b.upper() in rows
    ]
    if len(known) < 2:
        return float("nan"), len(known)
    one, other, scores = zip(*known, strict=True)
    cosines = np.einsum("ij,ij->i", vectors.unit[list(one)], vectors.unit[list(other)])
    return float(import_module("scipy.stats").spearmanr(cosines, scores).statistic), len(known)


def _rows_by_upper(vectors: KeyedVectors, restrict: int) -> dict[str, int]:
    """Upper-cased word -> row; of several spellings the first, which is the most frequent."""
    rows: dict[str, int] = {}
    for row, key in enumerate(vectors.keys[:restrict]):
        rows.setdefault(key.upper(), row)
    return rows
