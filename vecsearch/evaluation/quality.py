"""The report of a quality evaluation: means with intervals, and the values of every query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vecsearch.display import Shown, html_table
from vecsearch.evaluation.metrics import bootstrap_interval
from vecsearch.types import counted

CONFIDENCE = 0.95
SHOWN_IDS = 5


@dataclass(frozen=True, slots=True)
class Score(Shown):
    """The mean of a measure over the queries.

    Attributes:
        mean: The mean, from 0 to 1.
        low: Lower end of its 95% bootstrap interval.
        high: Upper end of that interval.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class QualityReport:
    """How well a collection answers queries; `str()` gives a table for people.

    Attributes:
        method: "judgements" (queries with relevance judgements) or "known items" (questions made
            from the documents).
        queries: How many queries were scored.
        documents: How many documents the collection contains.
        scores: Measure, such as "nDCG@10" -> mean and interval.
        per_query: Query id -> measure -> value. For known items the id is the document's.
        texts: Query id -> its text; empty for a query given as a vector.
        notes: Sentences on what was left out and how to read the scores.
        queries_without_judgements: Ids of queries that have no judgement, left out.
        queries_without_relevant: Ids of queries without a relevant document, left out.
        judged_queries_without_text: Ids of judged queries whose text was not given, left out.
        missing_documents: Ids of relevant documents that are not in the collection; they count as
            not found.
        before: With `rerank`: the scores of the same search without it.
        gains: With `rerank`: the mean difference that it makes to each measure, query by query,
            with its 95% interval. Reranking pays where the interval lies above zero.

    Example:
        >>> import tempfile
        >>> import vecsearch as vs
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     c = vs.create(folder + "/c.vs", embedder="toy:64")
        ...     _ = c.add([{"id": 1, "text": "green tea"}, {"id": 2, "text": "black coffee"}])
        ...     report = c.evaluate({"q1": "tea"}, {"q1": {"1": 1}}, k=1)
        >>> report.scores["nDCG@1"].mean
        1.0
    """

    method: str
    queries: int
    documents: int
    scores: Mapping[str, Score]
    per_query: Mapping[str, Mapping[str, float]]
    texts: Mapping[str, str]
    notes: tuple[str, ...] = ()
    queries_without_judgements: tuple[str, ...] = ()
    queries_without_relevant: tuple[str, ...] = ()
    judged_queries_without_text: tuple[str, ...] = ()
    missing_documents: tuple[str, ...] = ()
    before: Mapping[str, Score] = field(default_factory=dict)
    gains: Mapping[str, Score] = field(default_factory=dict)

    def __str__(self) -> str:
        head = (
            f"{counted(self.queries, 'query', 'queries')}, "
            f"{counted(self.documents, 'document')}, {self.method}"
        )
        lines = [
            f"{name:22} {score.mean:.4f}  [{score.low:.4f}, {score.high:.4f}]"
            for name, score in self.scores.items()
        ]
        return "\n".join([head, *lines, *self.gain_lines(), *self.notes])

    def gain_lines(self) -> list[str]:
        """What reranking changes, in a line for each measure; none without it."""
        return [
            f"reranking {name}: {self.before[name].mean:.4f} before, {gain.mean:+.4f} "
            f"[{gain.low:+.4f}, {gain.high:+.4f}]: {_verdict(gain)}"
            for name, gain in self.gains.items()
        ]

    def _repr_html_(self) -> str:
        rows = [
            [name, f"{score.mean:.4f}", f"{score.low:.4f} to {score.high:.4f}"]
            for name, score in self.scores.items()
        ]
        head = [counted(self.queries, "query", "queries"), "mean", "95% interval"]
        notes = [*self.gain_lines(), *self.notes]
        return html_table(head, rows, [1, 2], " ".join(notes))


def _verdict(gain: Score) -> str:
    if gain.low > 0:
        return "better"
    return "worse" if gain.high < 0 else "may be chance"


def compared(after: QualityReport, before: QualityReport) -> QualityReport:
    """A report with what another search of the same queries scored, and the differences."""
    differences = {
        query: {name: value - before.per_query[query][name] for name, value in row.items()}
        for query, row in after.per_query.items()
    }
    return replace(after, before=before.scores, gains=mean_scores(differences))


def mean_scores(per_query: Mapping[str, Mapping[str, float]]) -> dict[str, Score]:
    """Mean and interval of each measure over the queries, of which there must be one at least."""
    scores = {}
    for name in next(iter(per_query.values())):
        values = np.array([row[name] for row in per_query.values()])
        scores[name] = Score(float(values.mean()), *bootstrap_interval(values, CONFIDENCE))
    return scores


def first_ids(ids: tuple[str, ...]) -> str:
    """The first five ids and the number of the others, for a sentence."""
    more = f" and {len(ids) - SHOWN_IDS:,} more" if len(ids) > SHOWN_IDS else ""
    return ", ".join(ids[:SHOWN_IDS]) + more
