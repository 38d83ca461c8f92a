"""Quality by relevance judgements: nDCG, MRR, recall and MAP of what the collection's own search finds, by ir-measures.

ir-measures (MacAvaney, Macdonald and Ounis, ECIR 2022) gives trec_eval's numbers. Every measure is cut at k, as BEIR reports
them: no search goes deeper than the largest k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecsearch.errors import InvalidInputError, MissingExtraError
from vecsearch.evaluation.qrels import Qrels, read_beir, read_qrels, read_queries
from vecsearch.evaluation.report import QualityReport, named, summary
from vecsearch.evaluation.subject import Subject
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import ID, Id

DEPTHS = (10, 100)


def judged_quality(
    subject: Subject,
    queries: str | PathLike[str] | Mapping[Any, Any] | None,
    qrels: str | PathLike[str] | Mapping[Any, Mapping[Any, int]] | None,
    depths: int | Sequence[int] | None = None,
) -> QualityReport:
    """nDCG@k, MRR@k, recall@k and MAP@k for each k in `depths`.

    queries: a file, or id -> text (or vector). qrels: a file, or query id -> document id -> grade; None where `queries` is a
    folder in the BEIR layout. Ids are compared as text.
    Raises InvalidInputError (with file and line), MissingExtraError.
    """
    if queries is None:
        raise InvalidInputError(
            "there are relevance judgments, but no queries",
            hint="give queries too",
            command_hint="give --queries too",
        )
    cuts, snapshot = _checked_depths(depths), subject.snapshot
    texts, grades = _read(queries, qrels)
    relevant = {query: row for query, row in grades.items() if max(row.values(), default=0) > 0}
    asked = {query: text for query, text in texts.items() if query in relevant}
    if not asked:
        raise InvalidInputError(
            f"no query has a relevant document in the judgements: query ids look like {next(iter(texts))!r} there and "
            f"{next(iter(grades), '')!r} here"
        )
    missing = _missing(
        snapshot, sorted({document for query in asked for document in relevant[query]})
    )
    found = [hits.ids for hits in subject.search(list(asked.values()), max(cuts))]
    per_query = _measured(
        dict(zip(asked, found, strict=True)), {query: relevant[query] for query in asked}, cuts
    )
    report = QualityReport(
        method="judgements",
        queries=len(asked),
        documents=snapshot.manifest.documents,
        scores=summary(per_query, list(next(iter(per_query.values())))),
        per_query=per_query,
        texts={query: text if isinstance(text, str) else "" for query, text in asked.items()},
        unjudged=tuple(query for query in texts if query not in grades),
        unasked=tuple(query for query in relevant if query not in texts),
        without_relevant=tuple(
            query for query in texts if query in grades and query not in relevant
        ),
        missing=missing,
    )
    return _with_notes(report)


def _checked_depths(depths: int | Sequence[int] | None) -> list[int]:
    cuts = list(DEPTHS) if depths is None else [depths] if isinstance(depths, int) else list(depths)
    if not cuts or any(not isinstance(k, int) or isinstance(k, bool) or k < 1 for k in cuts):
        raise InvalidInputError(
            f"k is {depths!r}; it must be a whole number of at least 1, or several"
        )
    return sorted(set(cuts))


def _read(
    queries: str | PathLike[str] | Mapping[Any, Any],
    qrels: str | PathLike[str] | Mapping[Any, Mapping[Any, int]] | None,
) -> tuple[dict[str, Any], Qrels]:
    if qrels is None:
        if isinstance(queries, Mapping) or not Path(queries).is_dir():
            raise InvalidInputError(
                f"{queries} is not a folder in the BEIR layout (queries.jsonl and qrels/test.tsv)"
                if not isinstance(queries, Mapping)
                else "there are queries, but no relevance judgments",
                hint="give qrels too, or a folder in the BEIR layout",
                command_hint="give --queries and --qrels, or a folder in the BEIR layout",
            )
        queries, qrels = read_beir(Path(queries))
    texts = (
        {str(key): text for key, text in queries.items()}
        if isinstance(queries, Mapping)
        else read_queries(Path(queries))
    )
    if not texts:
        raise InvalidInputError("queries is empty")
    return texts, _checked_qrels(qrels) if isinstance(qrels, Mapping) else read_qrels(Path(qrels))


def _checked_qrels(qrels: Mapping[Any, Mapping[Any, int]]) -> Qrels:
    grades: Qrels = {}
    for query, row in qrels.items():
        if not isinstance(row, Mapping):
            raise InvalidInputError(
                f"qrels: the judgements of query {query!r} are not a dict of document id to grade"
            )
        for document, grade in row.items():
            if int(grade) != grade:
                raise InvalidInputError(
                    f"qrels: query {query!r}, document {document!r}: the grade {grade!r} is no whole number"
                )
            grades.setdefault(str(query), {})[str(document)] = int(grade)
    return grades


def _missing(snapshot: Snapshot, documents: Sequence[str]) -> tuple[str, ...]:
    """Which of some document ids are not in the collection. Raises InvalidInputError when none of them is."""
    kind = snapshot.manifest.schema.field(ID).type
    whole = pa.types.is_integer(kind)
    possible = [name for name in documents if not whole or _is_int64(name)]
    owners, _ = snapshot.locate(pa.array([int(name) if whole else name for name in possible], kind))
    there = {possible[owner] for owner in owners.tolist()}
    if not there:
        example = snapshot.ids_at(snapshot.live.rows[:1])
        raise InvalidInputError(
            f"none of the {len(documents):,} relevant documents is in the collection: an id in the judgements is "
            f"{documents[0]!r}, one of the collection is {example[0]!r}"
            if example
            else "the collection is empty: there is nothing to evaluate"
        )
    return tuple(name for name in documents if name not in there)


def _is_int64(name: str) -> bool:
    digits = name.removeprefix("-")
    return (
        digits.isascii()
        and digits.isdigit()
        and str(int(name)) == name
        and -(2**63) <= int(name) < 2**63
    )


def _measured(
    found: Mapping[str, Sequence[Id]],
    relevant: Mapping[str, Mapping[str, int]],
    cuts: Sequence[int],
) -> dict[str, dict[str, float]]:
    """Query id -> measure -> value. The rank decides, not the score, so that ties stay as the search ordered them."""
    try:
        from ir_measures import AP, RR, Measure, R, iter_calc, nDCG
    except ImportError as error:
        raise MissingExtraError("ir-measures", "evaluate", "Evaluating with judgements") from error

    names: dict[Measure, str] = {}
    for name, measure in (("nDCG", nDCG), ("MRR", RR), ("recall", R), ("MAP", AP)):
        names |= {measure @ k: f"{name}@{k}" for k in cuts}
    run = {
        query: {str(document): float(-rank) for rank, document in enumerate(ids)}
        for query, ids in found.items()
    }
    qrels = {
        query: {document: max(grade, 0) for document, grade in row.items()}
        for query, row in relevant.items()
    }
    values = {query: dict.fromkeys(names.values(), 0.0) for query in found}
    for item in iter_calc(list(names), qrels, run):
        values[item.query_id][names[item.measure]] = float(item.value)
    return values


def _with_notes(report: QualityReport) -> QualityReport:
    """Say in words what was left out or counts as missed."""
    notes = []
    if report.unjudged:
        notes.append(
            f"queries without judgements, left out ({len(report.unjudged):,}): {named(report.unjudged)}"
        )
    if report.without_relevant:
        notes.append(
            f"queries with no relevant document, left out ({len(report.without_relevant):,}): {named(report.without_relevant)}"
        )
    if report.unasked:
        notes.append(
            f"judged queries that have no text ({len(report.unasked):,}): {named(report.unasked)}"
        )
    if report.missing:
        notes.append(
            f"relevant documents that are not in the collection ({len(report.missing):,}), counted as not found: "
            f"{named(report.missing)}"
        )
    return replace(report, notes=tuple(notes))
