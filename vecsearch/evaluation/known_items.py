"""Quality without judgements: questions made from the documents, each answered by its own document.

A question is one random sentence of a document; of a text of one sentence, it is a run of half its
words. Each question is asked twice:

known-item  against the collection as it is, which contains the sentence. A sound configuration
            scores near 1, so a lower value is a symptom: texts longer than the model reads, a wrong
            prompt, an unsupported language, or too low a recall.
cloze       with the sentence removed from its own document, which is embedded without it; the other
            documents stay as they are. This measures whether the model knows what belongs together,
            and separates models. After the inverse cloze task (Lee, Chang and Toutanova, "Latent
            Retrieval for Weakly Supervised Open Domain Question Answering", ACL 2019).

Known-item questions made from a collection go back to Azzopardi and de Rijke, "Automatic
construction of known-item finding test beds" (SIGIR 2006).

Neither number is the quality that users will see. The sentences of a document share their author's
words, which real questions do not, so the scores are too high; a sentence need not follow from the
rest, and another document may answer it as well, so they are too low. Use them to compare models
and settings on one collection. On XQuAD-en, five models from character counts to MiniLM have a
cloze MRR@10 of .15, .26, .64, .74 and .85; with the real questions of XQuAD-en their nDCG@10 is
.31, .46, .81, .90 and .94 (benchmarks/known_items.py; the third is a static model).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecsearch.common.arguments import check_whole
from vecsearch.common.arrays import Positions, Vectors
from vecsearch.common.scripts import CJK_LETTERS, weighted_length
from vecsearch.embedders.stored import Model
from vecsearch.errors import InvalidInputError, NoEmbedderError
from vecsearch.evaluation.judged import Search
from vecsearch.evaluation.metrics import mrr_at_k
from vecsearch.evaluation.quality import QualityReport, mean_scores
from vecsearch.ingest.sentences import Span, sentence_spans
from vecsearch.ingest.texts import joined
from vecsearch.query.documents import documents_by_id
from vecsearch.query.results import Hits
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import CHUNK, Id, Metric, counted

K = 10
DEPTH = 3 * K  # hits asked for, as other documents with the same sentence are skipped
# Length of a question in characters; a Chinese, Japanese or Korean character counts as four.
SHORTEST, LONGEST = 24, 400
CJK_WEIGHT = 4
WINDOW = 1024  # documents read at a time
_UNIT = re.compile(rf"[{CJK_LETTERS}]|[^\s{CJK_LETTERS}]+")
Split = Callable[[str], Sequence[Span]]
"""Splits a text into the spans of its passages."""


@dataclass(frozen=True, slots=True)
class Item:
    """A question and the document that answers it.

    Attributes:
        id: The document's id.
        question: The question.
        rest: The document's text without the question.
        sentence: Whether the question is a whole sentence, else it is a run of words.
    """

    id: Id
    question: str
    rest: str
    sentence: bool


def known_item_quality(
    snapshot: Snapshot,
    search: Search,
    rows: Positions,
    model: Model | None,
    split: Split | None,
    n_queries: int = 500,
    seed: int = 0,
) -> QualityReport:
    """Success@1, success@10 and MRR@10 of questions made from documents, known-item and cloze.

    Args:
        snapshot: The version that is searched.
        search: Searches it.
        rows: The rows whose documents questions are made from.
        model: The collection's model.
        split: The collection's chunker; None if texts are not split.
        n_queries: How many questions to make.
        seed: Seed of the random choice of documents and sentences.

    Returns:
        The report.

    Raises:
        NoEmbedderError: The collection has no model.
        InvalidInputError: No document makes a question, or `n_queries` is below 1.
    """
    check_whole("n_queries", n_queries, 1)
    if model is None:
        raise NoEmbedderError(
            "this collection has no embedder, so no questions can be generated from its texts",
            hint="give queries and qrels",
            command_hint="give --queries and --qrels",
        )
    items, documents_read = _make_items(snapshot, rows, n_queries, np.random.default_rng(seed))
    questions = model.embed_queries([item.question for item in items])
    hits = search(questions, DEPTH)
    own_scores = _scores_without_question(items, questions, model, split, snapshot.manifest.metric)
    known_item, cloze = [], []
    for item, found, own_score in zip(items, hits, own_scores, strict=True):
        ranked = _without_duplicates(item, found, snapshot.manifest.text_columns)
        known_item.append([id for id, _ in ranked])
        better = [id for id, score in ranked if id != item.id and score > own_score]
        cloze.append([*better, item.id])
    per_query = _measures(items, {"known-item": known_item, "cloze": cloze})
    return QualityReport(
        method="known items",
        queries=len(items),
        documents=snapshot.manifest.documents,
        scores=mean_scores(per_query),
        per_query=per_query,
        texts={str(item.id): item.question for item in items},
        notes=_notes(items, documents_read),
    )


def known_item_questions(
    snapshot: Snapshot, wanted: int, seed: int
) -> tuple[list[str], list[dict[str, int]]]:
    """Sentences of documents as questions, and for each the document that it is from, as relevant.

    Raises InvalidInputError if no document makes a question.
    """
    rows = snapshot.live.rows
    items, _ = _make_items(snapshot, rows, wanted, np.random.default_rng(seed))
    return [item.question for item in items], [{str(item.id): 1} for item in items]


def _make_items(
    snapshot: Snapshot, rows: Positions, wanted: int, rng: np.random.Generator
) -> tuple[list[Item], int]:
    """Up to `wanted` questions of random documents, and how many documents were read for them."""
    columns = snapshot.manifest.text_columns
    if snapshot.manifest.chunked and len(rows):
        first_passages = snapshot.take([CHUNK], rows).column(0).to_numpy() == 0
        rows = rows[first_passages]  # one row for each document
    order = rng.permutation(rows)
    items: list[Item] = []
    documents_read = 0
    for start in range(0, len(order), WINDOW):
        ids = snapshot.ids_at(order[start : start + WINDOW])
        for id, document in zip(ids, documents_by_id(snapshot, ids, columns), strict=True):
            documents_read += 1
            question = make_question(_text_of(document), rng)
            if question is not None:
                items.append(Item(id, *question))
            if len(items) == wanted:
                return items, documents_read
    if not items:
        raise InvalidInputError(
            f"no question can be made: {counted(documents_read, 'document')} match, and none has "
            "a text of "
            "more than a few words; give queries and qrels"
        )
    return items, documents_read


def _text_of(document: Mapping[str, Any] | None) -> str:
    """What is embedded of a document; nothing for a picture."""
    texts = [text for text in (document or {}).values() if isinstance(text, str)]
    return joined(texts) or ""


def make_question(text: str, rng: np.random.Generator) -> tuple[str, str, bool] | None:
    """Take a question out of a text.

    Args:
        text: A document's text.
        rng: Chooses the sentence.

    Returns:
        The question, the text without it, and whether it is a whole sentence; None for a text that
        is too short.

    Example:
        >>> text = "Rye bread cools on a shelf.  Children buy sweet buns before school."
        >>> make_question(text, np.random.default_rng(0))[0] in text
        True
    """
    fitting = [
        (start, end)
        for start, end in sentence_spans(text)
        if SHORTEST <= _length(text[start:end]) <= LONGEST
        and _length(text[:start] + text[end:]) >= SHORTEST
    ]
    if fitting:
        start, end = fitting[rng.integers(len(fitting))]
        return text[start:end], _without(text, start, end), True
    units = [match.span() for match in _UNIT.finditer(text)]
    if _length(text) < 2 * SHORTEST or len(units) < 6:
        return None
    run = min(len(units) // 2, 25)
    first = int(rng.integers(len(units) - run + 1))
    start, end = units[first][0], units[first + run - 1][1]
    return text[start:end], _without(text, start, end), False


def _without(text: str, start: int, end: int) -> str:
    return f"{text[:start].rstrip()} {text[end:].lstrip()}".strip()


def _length(text: str) -> int:
    return weighted_length(text.strip(), CJK_WEIGHT)


def _without_duplicates(
    item: Item, hits: Hits, text_columns: Sequence[str]
) -> list[tuple[Id, float]]:
    """(id, score) of the hits, without other documents that contain the very question."""
    rows = zip(*map(hits.column, text_columns), strict=True)
    contains = [item.question in (joined(texts) or "") for texts in rows]
    return [
        (id, score)
        for id, score, duplicate in zip(hits.ids, hits.scores.tolist(), contains, strict=True)
        if id == item.id or not duplicate
    ]


def _scores_without_question(
    items: Sequence[Item], questions: Vectors, model: Model, split: Split | None, metric: Metric
) -> list[float]:
    """Each question's score with its own document, embedded without the question.

    Where texts are split, it is the score of the best passage.
    """
    parts = [
        [item.rest[start:end] for start, end in split(item.rest)] if split else [item.rest]
        for item in items
    ]
    vectors = model.embed_documents([part for passages in parts for part in passages])
    ends = np.cumsum([len(passages) for passages in parts])
    scores = []
    for question, passages, end in zip(questions, parts, ends, strict=True):
        rest = vectors[end - len(passages) : end]
        scores.append(float(_similarities(question, rest, metric).max(initial=-np.inf)))
    return scores


def _similarities(question: Vectors, rest: Vectors, metric: Metric) -> Vectors:
    """Scores as the collection computes them, larger is better."""
    if metric is Metric.L2:
        return np.asarray(-np.square(rest - question).sum(axis=1), np.float32)
    products = rest @ question
    if metric is Metric.COSINE:
        lengths = np.linalg.norm(rest, axis=1) * np.linalg.norm(question)
        products = np.divide(products, lengths, out=np.full_like(products, -1.0), where=lengths > 0)
    return np.asarray(products, np.float32)


def _measures(
    items: Sequence[Item], rankings: dict[str, list[list[Id]]]
) -> dict[str, dict[str, float]]:
    relevance: list[dict[Id, float]] = [{item.id: 1.0} for item in items]
    per_query: dict[str, dict[str, float]] = {str(item.id): {} for item in items}
    for name, ranking in rankings.items():
        for item, rank in zip(items, mrr_at_k(ranking, relevance, K).tolist(), strict=True):
            row = per_query[str(item.id)]
            row |= {
                f"{name} success@1": float(rank == 1.0),
                f"{name} success@{K}": float(rank > 0),
                f"{name} MRR@{K}": rank,
            }
    return per_query


def _notes(items: Sequence[Item], documents_read: int) -> tuple[str, ...]:
    runs = sum(not item.sentence for item in items)
    origin = f"questions are sentences of {counted(len(items), 'random document')}"
    if runs:
        origin += f" ({runs:,} of them runs of words, where a text is one sentence)"
    if documents_read > len(items):
        origin += f"; {documents_read - len(items):,} more were too short"
    return (
        origin,
        "known-item: the document contains the sentence, so expect nearly 1; less is a sign of "
        "texts longer than the model reads, a wrong prompt or language, or too low a recall",
        "cloze: the sentence is removed from its document first; use it to compare models and "
        "settings",
        "neither is the quality that users will see: sentences share their author's words, and "
        "need not follow from the rest",
    )
