"""The two standard tests of word vectors: analogies, and agreement with people's judgements of similarity."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from vecsearch.embedders.keyed import KeyedVectors
from vecsearch.errors import InvalidInputError

RESTRICT = 300_000  # only the first, most frequent, words take part
_BLOCK = 256  # questions answered at a time


def read_analogies(path: str | Path) -> dict[str, list[tuple[str, str, str, str]]]:
    """Questions "a b c d" by section, of a file in the layout of word2vec's questions-words.txt."""
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
                    f"{path}, line {number}: four words make an analogy, not {len(words)}"
                )
    return sections


def read_similarities(path: str | Path) -> list[tuple[str, str, float]]:
    """(word, word, score) of a tab-separated file; lines that begin with # are comments."""
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
    """(share answered right, questions asked): b - a + c must lead to d first, a, b and c left out; in any letter case.

    A question with a word that has no vector is left out, as is usual. NaN when none is left.
    """
    rows = _rows_by_upper(vectors, restrict)
    asked = [
        [rows[word.upper()] for word in question]
        for question in questions
        if all(w.upper() in rows for w in question)
    ]
    limit, right = min(restrict, len(vectors)), 0
    unit = vectors.unit[:limit]
    for start in range(0, len(asked), _BLOCK):
        a, b, c, d = np.array(asked[start : start + _BLOCK]).T
        scores = (unit[b] - unit[a] + unit[c]) @ unit.T
        for given in (a, b, c):
            scores[np.arange(len(given)), given] = -np.inf
        right += int((scores.argmax(axis=1) == d).sum())
    return (right / len(asked) if asked else float("nan")), len(asked)


def similarity_correlation(
    vectors: KeyedVectors, pairs: Sequence[tuple[str, str, float]], restrict: int = RESTRICT
) -> tuple[float, int]:
    """(Spearman's rank correlation of cosine with the given scores, pairs used); pairs without vectors are left out."""
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
    """Upper-cased word -> row; of several spellings the most frequent, which stands first."""
    rows: dict[str, int] = {}
    for row, key in enumerate(vectors.keys[:restrict]):
        rows.setdefault(key.upper(), row)
    return rows
