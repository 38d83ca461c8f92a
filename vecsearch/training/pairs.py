"""What a model is tuned on: pairs or clicks, read from rows and parted by query into training and held-out ones."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vecsearch.errors import InvalidInputError

QUERY, DOCUMENT, NEGATIVE, SCORE = "query", "document", "negative", "score"
SCORE_NAMES = (SCORE, "clicks", "clicked")


@dataclass(frozen=True, slots=True)
class Pairs:
    """relevant: query -> document -> gain (above zero). negatives: query -> documents that are not what it looks for.
    documents: every document's text once, in order of appearance."""

    relevant: Mapping[str, Mapping[str, float]]
    negatives: Mapping[str, tuple[str, ...]]
    documents: tuple[str, ...]


def read_pairs(rows: Iterable[Mapping[str, Any]], name: str = "the pairs") -> Pairs:
    """Rows with `query` and `document`; where they have it, `negative` (a text or a list of them: documents to keep away) and
    `score` (or `clicks`, `clicked`): above zero is the pair's gain, zero or less says that the document was shown and is not
    the answer. Of a pair that comes more than once the highest score counts.

    name: what the rows come from, for errors. Raises InvalidInputError, naming the row (from 1) and the column.
    """
    relevant: dict[str, dict[str, float]] = {}
    negatives: dict[str, dict[str, None]] = {}
    documents: dict[str, None] = {}
    for number, row in enumerate(rows, start=1):
        at = f"{name}, row {number}"
        query, document, score = _text(row, QUERY, at), _text(row, DOCUMENT, at), _score(row, at)
        documents.setdefault(document)
        if score > 0:
            known = relevant.setdefault(query, {})
            known[document] = max(score, known.get(document, 0.0))
        else:
            negatives.setdefault(query, {}).setdefault(document)
        for other in _negatives(row, at):
            documents.setdefault(other)
            negatives.setdefault(query, {}).setdefault(other)
    if not relevant:
        raise InvalidInputError(
            f"{name}: there is no pair to learn from: no row has a query with a document that answers it"
        )
    away = {
        query: tuple(text for text in texts if text not in relevant.get(query, {}))
        for query, texts in negatives.items()
    }
    return Pairs(relevant, away, tuple(documents))


def split_queries(queries: Iterable[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """(training queries, held-out queries). A query's own text decides, by a hash, so that the same query always falls on
    the same side: also after new pairs came in, or when a tuned model is tuned further. Case and spaces do not count.

    Raises InvalidInputError for a share outside (0, 1) or fewer than two different queries.
    """
    if not 0.0 < share < 1.0:
        raise InvalidInputError(f"held_out is {share}; it must lie between 0 and 1, such as 0.2")
    places = {query: _place(query, seed) for query in queries}
    if len(set(places.values())) < 2:
        raise InvalidInputError(
            "there must be two different queries at least: one to learn from and one to be held out"
        )
    first, last = min(places.values()), max(places.values())  # neither side is to be empty
    held_out = {
        query
        for query, place in places.items()
        if place == first or (place < share and place != last)
    }
    return [query for query in places if query not in held_out], [
        query for query in places if query in held_out
    ]


def _place(query: str, seed: int) -> float:
    """A number in [0, 1) that looks random."""
    digest = hashlib.sha256(
        f"{seed} {' '.join(query.casefold().split())}".encode("utf-8", "surrogatepass")
    ).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _text(row: Mapping[str, Any], column: str, at: str) -> str:
    if column not in row:
        there = ", ".join(map(str, row)) or "none"
        raise InvalidInputError(f"{at}: there is no column {column!r}; the columns are {there}")
    text = row[column]
    if not isinstance(text, str) or not text.strip():
        raise InvalidInputError(f"{at}, column {column!r}: {text!r} is not a text")
    return text


def _score(row: Mapping[str, Any], at: str) -> float:
    column = next((name for name in SCORE_NAMES if row.get(name) is not None), None)
    if column is None:
        return 1.0
    value = row[column]
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInputError(f"{at}, column {column!r}: {value!r} is not a number")
    return float(value)


def _negatives(row: Mapping[str, Any], at: str) -> list[str]:
    value = row.get(NEGATIVE)
    if value is None or value == "":
        return []
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or any(
        not isinstance(text, str) or not text.strip() for text in texts
    ):
        raise InvalidInputError(
            f"{at}, column {NEGATIVE!r}: {value!r} is not a text or a list of texts"
        )
    return texts
