"""Quality without judgements: questions made out of the documents themselves, each with its own document to be found.

A question is one sentence of a document, drawn at random; of a text of one sentence, a run of half its words. Asked twice:

known-item  against the collection as it is, which holds the sentence. Any sound set-up is near 1 here, so a lower value is a
            symptom: texts longer than the model reads, a wrong prompt, a language it does not know, too low a recall.
cloze       with the sentence taken out of its own document, which is embedded anew without it; the others stay. This asks
            whether the model knows what belongs together, and tells models apart. After the inverse cloze task (Lee, Chang and
            Toutanova, "Latent Retrieval for Weakly Supervised Open Domain Question Answering", ACL 2019).

Known-item questions made from a collection go back to Azzopardi and de Rijke, "Automatic construction of known-item finding
test beds" (SIGIR 2006). Neither number is the quality people will see. A document's sentences share their author's words, as
people's questions do not, which flatters; a sentence need not follow from the rest, and another document may answer it as well,
which is unkind. Use them to compare models and settings on the same collection. On XQuAD-en, five models from character counts
to MiniLM have a cloze MRR@10 of .15, .26, .64, .74, .85 and, with its real questions, an nDCG@10 of .31, .46, .81, .90, .94
(benchmarks/known_items.py; the third is a static model).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.scripts import CJK_LETTERS, weighted_length
from vecsearch.embedders.stored import Model
from vecsearch.errors import EmbedderError, InvalidInputError
from vecsearch.evaluation.metrics import mrr_at_k
from vecsearch.evaluation.report import QualityReport, summary
from vecsearch.evaluation.subject import Split, Subject
from vecsearch.ingest.sentences import sentence_spans
from vecsearch.types import CHUNK, Id, Metric

K = 10
DEPTH = 3 * K  # hits asked for: some may hold the very sentence, and are passed over
SHORTEST, LONGEST = (
    24,
    400,
)  # a question's length in characters, a Chinese, Japanese or Korean one counting four
CJK_WEIGHT = 4
WINDOW = 1024  # documents read at a time
_UNIT = re.compile(rf"[{CJK_LETTERS}]|[^\s{CJK_LETTERS}]+")


@dataclass(frozen=True, slots=True)
class Item:
    """A question and the document it is for, which goes on without it. sentence: whether it is one, or a run of words."""

    id: Id
    question: str
    rest: str
    sentence: bool


def known_item_quality(subject: Subject, n_queries: int = 500, seed: int = 0) -> QualityReport:
    """Success@1, success@10 and MRR@10 of `n_queries` questions, as known-item search and as cloze; see the module.

    Raises EmbedderError in a collection without a model, InvalidInputError where no document makes a question.
    """
    model, snapshot = subject.model, subject.snapshot
    if n_queries < 1:
        raise InvalidInputError(f"n_queries is {n_queries}; it must be 1 or more")
    if model is None:
        raise EmbedderError(
            "this collection has no embedder, so no questions can be generated from its texts",
            hint="give queries and qrels",
            command_hint="give --queries and --qrels",
        )
    items, looked_at = _draw(subject, n_queries, np.random.default_rng(seed))
    questions = model.embed_queries([item.question for item in items])
    hits = subject.search(questions, DEPTH)
    without = _scores_without(items, questions, model, subject.splitter(), snapshot.manifest.metric)
    text_column = snapshot.manifest.text_column or ""
    stored, cloze = [], []
    for item, found, score in zip(items, hits, without, strict=True):
        holds = [
            isinstance(text, str) and item.question in text for text in found.column(text_column)
        ]
        others = [
            (name, value)
            for name, value, same in zip(found.ids, found.scores.tolist(), holds, strict=True)
            if name == item.id or not same
        ]
        stored.append([name for name, _ in others])
        better = [name for name, value in others if name != item.id and value > score]
        cloze.append([*better, item.id])
    per_query = _measured(items, {"known-item": stored, "cloze": cloze})
    return QualityReport(
        method="known items",
        queries=len(items),
        documents=snapshot.manifest.documents,
        scores=summary(per_query, list(next(iter(per_query.values())))),
        per_query=per_query,
        texts={str(item.id): item.question for item in items},
        notes=_notes(items, looked_at),
    )


def _draw(subject: Subject, wanted: int, rng: np.random.Generator) -> tuple[list[Item], int]:
    """Up to `wanted` questions of documents drawn at random, and how many documents were looked at for them."""
    snapshot, rows = subject.snapshot, subject.selection.rows
    column = str(snapshot.manifest.text_column)
    if snapshot.manifest.chunked and len(rows):
        rows = rows[
            snapshot.take([CHUNK], rows).column(0).to_numpy() == 0
        ]  # a document's first passage stands for it
    order = rng.permutation(rows)
    items: list[Item] = []
    looked_at = 0
    for start in range(0, len(order), WINDOW):
        ids = snapshot.ids_at(order[start : start + WINDOW])
        for name, document in zip(ids, subject.get(ids, [column]), strict=True):
            looked_at += 1
            made = make_question((document or {}).get(column) or "", rng)
            if made is not None:
                items.append(Item(name, *made))
            if len(items) == wanted:
                return items, looked_at
    if not items:
        raise InvalidInputError(
            f"no question can be made: {looked_at:,} documents match, and none has a text of more than a few words; "
            "give queries and qrels"
        )
    return items, looked_at


def make_question(text: str, rng: np.random.Generator) -> tuple[str, str, bool] | None:
    """(question, the text without it, whether it is a whole sentence), or None for a text too short to be parted."""
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


def _scores_without(
    items: Sequence[Item], questions: Vectors, model: Model, split: Split | None, metric: Metric
) -> list[float]:
    """Each question's score with its own document, embedded without the question; its best passage, where texts are split."""
    parts = [
        [item.rest[a:b] for a, b in split(item.rest)] if split else [item.rest] for item in items
    ]
    vectors = model.embed_documents([part for passages in parts for part in passages])
    ends = np.cumsum([len(passages) for passages in parts])
    scores = []
    for question, passages, end in zip(questions, parts, ends, strict=True):
        rest = vectors[end - len(passages) : end]
        scores.append(float(_similarities(question, rest, metric).max(initial=-np.inf)))
    return scores


def _similarities(question: Vectors, rest: Vectors, metric: Metric) -> Vectors:
    """As the collection scores: larger is better."""
    if metric is Metric.L2:
        return np.asarray(-np.square(rest - question).sum(axis=1), np.float32)
    products = rest @ question
    if metric is Metric.COSINE:
        lengths = np.linalg.norm(rest, axis=1) * np.linalg.norm(question)
        products = np.divide(products, lengths, out=np.full_like(products, -1.0), where=lengths > 0)
    return np.asarray(products, np.float32)


def _measured(
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


def _notes(items: Sequence[Item], looked_at: int) -> tuple[str, ...]:
    runs = sum(not item.sentence for item in items)
    made = f"questions are sentences of {len(items):,} documents drawn at random"
    if runs:
        made += f" ({runs:,} of them runs of words, where a text is one sentence)"
    if looked_at > len(items):
        made += f"; {looked_at - len(items):,} more were too short"
    return (
        made,
        "known-item: the document holds the sentence, so expect nearly 1; less points to texts longer than the model reads, "
        "a wrong prompt or language, or too low a recall",
        "cloze: the sentence is taken out of its document first; compare models and settings by it",
        "neither is the quality people will see: sentences share their author's words, and need not follow from the rest",
    )
