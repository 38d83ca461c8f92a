"""How good the answers are: with judgements of one's own, or with questions made out of the documents.

subject.py      the collection under evaluation
report.py       what an evaluation says
files.py        queries and qrels in the BEIR layout and as TREC files
judged.py       nDCG, MRR, recall and MAP by ir-measures
known_items.py  questions made from the documents: known-item search and cloze
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from vecsearch.evaluation.judged import judged_quality
from vecsearch.evaluation.known_items import known_item_quality
from vecsearch.evaluation.report import QualityReport, Score
from vecsearch.evaluation.subject import Subject

__all__ = ["QualityReport", "Score", "Subject", "evaluate"]


def evaluate(
    subject: Subject,
    queries: str | PathLike[str] | Mapping[Any, Any] | None = None,
    qrels: str | PathLike[str] | Mapping[Any, Mapping[Any, int]] | None = None,
    k: int | Sequence[int] | None = None,
    n_queries: int = 500,
    seed: int = 0,
) -> QualityReport:
    """By judgements where there are any, else by known items. `Collection.evaluate` says what each argument is."""
    if queries is None and qrels is None:
        return known_item_quality(subject, n_queries, seed)
    return judged_quality(subject, queries, qrels, k)
