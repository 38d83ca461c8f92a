"""Quality by relevance judgements: nDCG, MRR, recall and MAP of what a collection's search finds.

ir-measures (MacAvaney, Macdonald and Ounis, ECIR 2022; the extra `evaluate`) gives the numbers of
trec_eval. Every measure is cut off at k, as BEIR reports them; no search goes deeper than the
largest k.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import pyarrow as pa

from vecsearch.common.arguments import check_k
from vecsearch.common.optional import require
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.evaluation.qrels import (
    Qrels,
    checked_qrels,
    file_of,
    read_beir,
    read_qrels,
    read_queries,
)
from vecsearch.evaluation.quality import QualityReport, compared, first_ids, mean_scores
from vecsearch.query.results import Hits
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import BEIR_ID, Id

DEPTHS = (10, 100)
Search = Callable[[Any, int], Sequence[Hits]]
"""Searches the collection, as its users do: queries (texts or vectors) and k -> hits."""


def judged_quality(
    snapshot: Snapshot,
    search: Search,
    queries: str | PathLike[str] | Mapping[Any, Any] | None,
    qrels: str | PathLike[str] | Mapping[Any, Mapping[Any, int]] | None,
    depths: int | Sequence[int] | None = None,
) -> QualityReport:
    """nDCG@k, MRR@k, recall@k and MAP@k for each k in `depths`.

    Args:
        snapshot: The version that is searched.
        search: Searches it.
        queries: A file, or query id -> text (or vector), or a folder in the BEIR layout.
        qrels: A file, or query id -> document id -> grade; None for a BEIR folder. Ids are compared
            as text.
        depths: The values of k; None takes 10 and 100.

    Returns:
        The report.

    Raises:
        InvalidInputError: An argument or a file is wrong (file and line are named), or no judgement
            fits the queries and the collection.
        MissingExtraError: The extra `evaluate` is not installed.
    """
    if queries is None:
        raise InvalidInputError(
            "there are relevance judgments, but no queries",
            hint="give queries too",
            command_hint="give --queries too",
        )
    cuts = _checked_depths(depths)
    texts, grades = read_judgements(queries, qrels)
    relevant = {query: row for query, row in grades.items() if max(row.values(), default=0) > 0}
    scored = {query: text for query, text in texts.items() if query in relevant}
    if not scored:
        raise InvalidInputError(
            "no query has a relevant document in the judgements: a query id is "
            f"{next(iter(texts))!r} in the queries and {next(iter(grades), '')!r} in the judgements"
        )
    judged = {document for query in scored for document in relevant[query]}
    missing = _missing_documents(snapshot, sorted(judged))
    found = [hits.ids for hits in search(list(scored.values()), max(cuts))]
    per_query = _measures(
        dict(zip(scored, found, strict=True)), {query: relevant[query] for query in scored}, cuts
    )
    report = QualityReport(
        method="judgements",
        queries=len(scored),
        documents=snapshot.manifest.documents,
        scores=mean_scores(per_query),
        per_query=per_query,
        texts={query: text if isinstance(text, str) else "" for query, text in scored.items()},
        queries_without_judgements=tuple(query for query in texts if query not in grades),
        queries_without_relevant=tuple(
            query for query in texts if query in grades and query not in relevant
        ),
        judged_queries_without_text=tuple(query for query in relevant if query not in texts),
        missing_documents=missing,
    )
    return _with_notes(report)


def reranked_quality(
    snapshot: Snapshot,
    search: Search,
    again: Search,
    queries: str | PathLike[str] | Mapping[Any, Any] | None,
    qrels: str | PathLike[str] | Mapping[Any, Mapping[Any, int]] | None,
    depths: int | Sequence[int] | None = None,
) -> QualityReport:
    """The quality of a search whose hits are reranked, compared with the same search without.

    Args:
        snapshot: The version that is searched.
        search: Searches it.
        again: Searches it, and reranks the hits.
        queries: As in `judged_quality`.
        qrels: As in `judged_quality`.
        depths: The values of k; None takes 10.

    Raises:
        InvalidInputError: As in `judged_quality`.
        MissingExtraError: The extra `evaluate` is not installed.
    """
    depths = DEPTHS[0] if depths is None else depths
    before = judged_quality(snapshot, search, queries, qrels, depths)
    with warnings.catch_warnings():  # they were said
        warnings.simplefilter("ignore", RuntimeWarning)
        return compared(judged_quality(snapshot, again, queries, qrels, depths), before)


def only_with_judgments() -> InvalidInputError:
    """The error for what questions made from documents cannot measure."""
    return InvalidInputError(
        "search by words and reranking are measured with relevance judgments: questions made from "
        "the documents repeat their words",
        hint="give queries and qrels",
        command_hint="give --queries and --qrels",
    )


def _checked_depths(depths: int | Sequence[int] | None) -> list[int]:
    if depths is None:
        return list(DEPTHS)
    try:
        cuts = list(depths) if isinstance(depths, Iterable) else [depths]
        if cuts:
            return sorted({check_k(k) for k in cuts})
    except (InvalidInputError, TypeError):
        pass
    raise InvalidInputError(
        f"k is {shown(depths)}; it must be a whole number of at least 1, or several"
    )


def read_judgements(
    queries: str | PathLike[str] | Mapping[Any, Any],
    qrels: str | PathLike[str] | Mapping[Any, Mapping[Any, int]] | None,
) -> tuple[dict[str, Any], Qrels]:
    """Queries and judgements by query id, as `judged_quality` takes them."""
    if qrels is None:
        if isinstance(queries, Mapping) or not file_of("queries", queries).is_dir():
            raise InvalidInputError(
                f"{queries} is not a folder in the BEIR layout (queries.jsonl and qrels/test.tsv)"
                if not isinstance(queries, Mapping)
                else "there are queries, but no relevance judgments",
                hint="give qrels too, or a folder in the BEIR layout",
                command_hint="give --queries and --qrels, or a folder in the BEIR layout",
            )
        queries, qrels = read_beir(file_of("queries", queries))
    texts = (
        {str(key): text for key, text in queries.items()}
        if isinstance(queries, Mapping)
        else read_queries(file_of("queries", queries))
    )
    if not texts:
        raise InvalidInputError("queries is empty")
    if isinstance(qrels, Mapping):
        return texts, checked_qrels(qrels)
    return texts, read_qrels(file_of("qrels", qrels))


def _missing_documents(snapshot: Snapshot, documents: Sequence[str]) -> tuple[str, ...]:
    """Which documents are not in the collection; InvalidInputError if none of them is."""
    kind = snapshot.manifest.id_type
    numeric = pa.types.is_integer(kind)
    possible = [name for name in documents if not numeric or _is_int64(name)]
    ids = pa.array([int(name) if numeric else name for name in possible], kind)
    owners, _ = snapshot.locate(ids)
    present = {possible[owner] for owner in owners.tolist()}
    _check_beir_ids(snapshot, set(documents), present)
    if present:
        missing = tuple(name for name in documents if name not in present)
        if len(missing) > len(documents) / 2:
            warnings.warn(
                f"{len(missing):,} of {len(documents):,} relevant documents are not in the "
                f"collection (the first is {missing[0]!r}): are its ids those of the judgments?",
                RuntimeWarning,
                stacklevel=2,
            )
        return missing
    example = snapshot.ids_at(snapshot.live.rows[:1])
    if not example:
        raise InvalidInputError("the collection is empty: there is nothing to evaluate")
    raise InvalidInputError(
        f"none of the {len(documents):,} relevant documents is in the collection: an id in the "
        f"judgements is {documents[0]!r}, one of the collection is {example[0]!r}"
    )


def _check_beir_ids(snapshot: Snapshot, judged: set[str], present: set[str]) -> None:
    """Refuse a collection whose column `_id` holds the judged ids, while the id holds others."""
    id_column = snapshot.manifest.id_column
    if BEIR_ID not in snapshot.manifest.schema.names or id_column == BEIR_ID:
        return
    rows = snapshot.take([BEIR_ID, id_column], snapshot.live.rows)
    pairs = zip(rows.column(BEIR_ID).to_pylist(), rows.column(id_column).to_pylist(), strict=True)
    other = [(str(key), str(found)) for key, found in pairs if str(key) in judged]
    if len(other) >= len(present) and any(key != found for key, found in other):
        raise InvalidInputError(
            f"the judged ids are in the column '_id' of the collection, not in {id_column!r}: "
            "other documents would be judged",
            hint='make the collection again, and add the data with id_column="_id"',
            command_hint="make the collection again, and ingest the data with --id-column _id",
        )


def _is_int64(name: str) -> bool:
    digits = name.removeprefix("-")
    return (
        digits.isascii()
        and digits.isdigit()
        and str(int(name)) == name
        and -(2**63) <= int(name) < 2**63
    )


def _measures(
    found: Mapping[str, Sequence[Id]],
    relevant: Mapping[str, Mapping[str, int]],
    cuts: Sequence[int],
) -> dict[str, dict[str, float]]:
    """Query id -> measure -> value.

    ir-measures is given the ranks as scores, so that ties stay in the order of the search.
    """
    ir = require("ir_measures", "ir-measures", "evaluate", "Evaluating with judgements")
    names: dict[Any, str] = {}
    for name, measure in (("nDCG", ir.nDCG), ("MRR", ir.RR), ("recall", ir.R), ("MAP", ir.AP)):
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
    for item in ir.iter_calc(list(names), qrels, run):
        values[item.query_id][names[item.measure]] = float(item.value)
    return values


def _with_notes(report: QualityReport) -> QualityReport:
    """The report with sentences on what was left out or counts as not found."""
    subjects = (
        ("queries without judgements, left out", report.queries_without_judgements),
        ("queries with no relevant document, left out", report.queries_without_relevant),
        ("judged queries that have no text, left out", report.judged_queries_without_text),
        (
            "relevant documents that are not in the collection, counted as not found",
            report.missing_documents,
        ),
    )
    notes = tuple(f"{subject} ({len(ids):,}): {first_ids(ids)}" for subject, ids in subjects if ids)
    return replace(report, notes=notes)
