"""Training pairs or clicks: read from rows, and split by query into training and held-out ones."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vecsearch.common.arguments import check_share
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError

QUERY, DOCUMENT, NEGATIVE, SCORE = "query", "document", "negative", "score"
SCORE_NAMES = (SCORE, "clicks", "clicked")


@dataclass(frozen=True, slots=True)
class Pairs:
    """What a model is tuned on.

    Attributes:
        relevant: Query -> document -> gain, above zero.
        negatives: Query -> documents that do not answer it.
        documents: The text of every document once, in order of appearance.
    """

    relevant: Mapping[str, Mapping[str, float]]
    negatives: Mapping[str, tuple[str, ...]]
    documents: tuple[str, ...]


def read_pairs(rows: Iterable[Mapping[str, Any]], name: str = "the pairs") -> Pairs:
    """Read training pairs from rows.

    Args:
        rows: Mappings with the columns `query` and `document`. Optional: `negative`, a text or a
            list of texts that do not answer the query; `score` (or `clicks`, `clicked`), the pair's
            gain if it is above zero, else the document was shown and does not answer the query.
            Without a score the gain is 1. The highest score of a repeated pair counts.
        name: Where the rows come from, for errors.

    Returns:
        The pairs.

    Raises:
        InvalidInputError: A value is missing or of the wrong type, or no row has a relevant
            document; the message names the row (from 1) and the column.

    Example:
        >>> pairs = read_pairs([{"query": "tea", "document": "Brewing tea", "negative": "Coffee"}])
        >>> pairs.relevant, pairs.negatives
        ({'tea': {'Brewing tea': 1.0}}, {'tea': ('Coffee',)})
    """
    relevant: dict[str, dict[str, float]] = {}
    negatives: dict[str, dict[str, None]] = {}
    documents: dict[str, None] = {}
    try:
        numbered = enumerate(rows, start=1)
    except TypeError as error:
        raise InvalidInputError(f"{name}: give a list of dicts, not {shown(rows)}") from error
    for number, row in numbered:
        where = f"{name}, row {number}"
        if not isinstance(row, Mapping):
            raise InvalidInputError(f"{where} is a {type(row).__name__}; it must be a dict")
        query, document = _text(row, QUERY, where), _text(row, DOCUMENT, where)
        score = _score(row, where)
        documents.setdefault(document)
        if score > 0:
            gains = relevant.setdefault(query, {})
            gains[document] = max(score, gains.get(document, 0.0))
        else:
            negatives.setdefault(query, {}).setdefault(document)
        for other in _negatives(row, where):
            documents.setdefault(other)
            negatives.setdefault(query, {}).setdefault(other)
    if not relevant:
        raise InvalidInputError(
            f"{name}: there is no pair to learn from: no row has a query with a relevant document"
        )
    irrelevant = {
        query: tuple(text for text in texts if text not in relevant.get(query, {}))
        for query, texts in negatives.items()
    }
    return Pairs(relevant, irrelevant, tuple(documents))


def split_queries(queries: Iterable[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Split queries into training and held-out ones.

    A hash of a query's text decides, so a query always falls on the same side: also after new pairs
    were added, or when a tuned model is tuned further. Letter case and repeated spaces do not
    matter.

    Args:
        queries: The queries.
        share: About this share is held out, from 0 to 1; neither side is ever empty.
        seed: Chooses another split.

    Returns:
        (training queries, held-out queries), each in the given order.

    Raises:
        InvalidInputError: The share is not between 0 and 1, or there are not two different queries.
    """
    check_share("held_out", share, such_as=0.2)
    hashes = {query: _hash(query, seed) for query in queries}
    if len(set(hashes.values())) < 2:
        raise InvalidInputError(
            "there must be at least two different queries: one to train on and one to hold out"
        )
    lowest, highest = min(hashes.values()), max(hashes.values())
    held_out = {
        query
        for query, value in hashes.items()
        if value == lowest or (value < share and value != highest)
    }
    return [query for query in hashes if query not in held_out], [
        query for query in hashes if query in held_out
    ]


def _hash(query: str, seed: int) -> float:
    """A number in [0, 1), spread evenly over queries."""
    digest = hashlib.sha256(
        f"{seed} {' '.join(query.casefold().split())}".encode("utf-8", "surrogatepass")
    ).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _text(row: Mapping[str, Any], column: str, where: str) -> str:
    if column not in row:
        hint = did_you_mean(column, map(str, row))
        raise InvalidInputError(f"{where}: there is no column {column!r}{hint}")
    text = row[column]
    if not isinstance(text, str) or not text.strip():
        raise InvalidInputError(f"{where}, column {column!r}: {text!r} is not a text")
    return text


def _score(row: Mapping[str, Any], where: str) -> float:
    column = next((name for name in SCORE_NAMES if row.get(name) is not None), None)
    if column is None:
        return 1.0
    value = row[column]
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInputError(f"{where}, column {column!r}: {value!r} is not a number")
    return float(value)


def _negatives(row: Mapping[str, Any], where: str) -> list[str]:
    value = row.get(NEGATIVE)
    if value is None or value == "":
        return []
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or any(
        not isinstance(text, str) or not text.strip() for text in texts
    ):
        raise InvalidInputError(
            f"{where}, column {NEGATIVE!r}: {value!r} is not a text or a list of texts"
        )
    return texts
