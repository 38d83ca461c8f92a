"""BM25 and BM25F computed naively, as an oracle. It shares no code with vecsearch but the terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

Terms = Callable[[str], list[str]]


def bm25(
    documents: Mapping[object, Sequence[Sequence[str]]],
    query: Sequence[str],
    weights: Sequence[float] = (1.0,),
    k1: float = 1.2,
    b: float = 0.75,
) -> dict[object, float]:
    """The score of each document with a word of the query.

    Args:
        documents: For each id the passages of a document. A passage is the list of the terms of
            each column.
        query: Terms, repeated ones as often as they count.
        weights: Of each column.
    """
    columns = len(weights)
    texts = [passage for passages in documents.values() for passage in passages]
    means = []
    for column in range(columns):
        lengths = [len(text[column]) for text in texts if len(text[column])]
        means.append(sum(lengths) / len(lengths) if lengths else 1.0)
    having = {
        term: sum(
            any(term in text[c] for text in passages for c in range(columns) if weights[c])
            for passages in documents.values()
        )
        for term in query
    }
    scores: dict[object, float] = {}
    for name, passages in documents.items():
        best = 0.0
        for passage in passages:
            score = 0.0
            for term in query:
                found = having[term]
                idf = math.log(1 + (len(documents) - found + 0.5) / (found + 0.5))
                count = sum(
                    weights[c] * passage[c].count(term) / (1 - b + b * len(passage[c]) / means[c])
                    for c in range(columns)
                )
                score += idf * count / (k1 + count)
            best = max(best, score)
        if best > 0:
            scores[name] = best
    return scores
