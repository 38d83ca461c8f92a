"""What an evaluation says: each measure's mean with its interval, every query's values, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vecsearch.evaluation.metrics import bootstrap_interval

CONFIDENCE = 0.95
SHOWN_NAMES = 5


@dataclass(frozen=True, slots=True)
class Score:
    """The mean of a measure over the queries, in [0, 1], and the 95% bootstrap interval of that mean."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class QualityReport:
    """How well a collection answers. `str()` of it is for people.

    method: "judgements" (queries with qrels) or "known items" (questions made out of the documents).
    queries: how many were scored. documents: how many the collection holds.
    scores: measure ("nDCG@10") -> mean and interval. per_query: query id -> measure -> value; for known items the id is the
    document's. texts: query id -> its text (empty for queries given as vectors). notes: what was left out, and how to read it.
    unjudged: ids of queries that have no judgement. unasked: judged query ids without a text. without_relevant: query ids
    whose judgements name no relevant document. missing: judged relevant documents that are not in the collection.
    """

    method: str
    queries: int
    documents: int
    scores: Mapping[str, Score]
    per_query: Mapping[str, Mapping[str, float]]
    texts: Mapping[str, str]
    notes: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    without_relevant: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = f"{self.queries:,} queries, {self.documents:,} documents, {self.method}"
        lines = [
            f"{name:22} {score.mean:.4f}  [{score.low:.4f}, {score.high:.4f}]"
            for name, score in self.scores.items()
        ]
        return "\n".join([head, *lines, *self.notes])


def summary(per_query: Mapping[str, Mapping[str, float]], names: list[str]) -> dict[str, Score]:
    """Mean and interval of each measure over the queries."""
    scores = {}
    for name in names:
        values = np.array([row[name] for row in per_query.values()])
        scores[name] = Score(float(values.mean()), *bootstrap_interval(values, CONFIDENCE))
    return scores


def named(ids: tuple[str, ...]) -> str:
    """The first few of some ids, for a sentence."""
    more = f" and {len(ids) - SHOWN_NAMES:,} more" if len(ids) > SHOWN_NAMES else ""
    return ", ".join(ids[:SHOWN_NAMES]) + more
