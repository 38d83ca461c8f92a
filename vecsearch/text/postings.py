"""Postings: in which rows each term of some texts occurs, and how often.

List number `term * fields + field` holds the rows, ascending, whose text in a field has the term.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import constants_in_arrow, numbers_in_numpy
from vecsearch.text.analyzer import Analyzer, whole_texts

MOST = 65_535  # a count or more
LEAST = np.float32(1e-30)  # a weight, however small it was given
FEW_WORDS = 100_000  # so many are made an array without pandas, which pa.array would import
Numbers = npt.NDArray[np.int64]
_NO_FORMS = pa.nulls(0, pa.large_string()), np.empty(0, np.uint32)


@dataclass(frozen=True, eq=False)
class Postings:
    """The postings of the rows of a segment.

    Attributes:
        terms: large_string, ascending by their bytes.
        starts: int64 (terms * fields + 1,): list i is from `starts[i]` to `starts[i + 1]`.
        rows: uint32, the rows of all lists.
        counts: uint16, how often the text has the term, at least 1.
        lengths: uint32 (fields, rows of the segment): terms of each text.
        forms: large_string, ascending: words that are not their own term, such as "running".
        form_terms: uint32, the number of the term of each form.
        impacts: float32, the weight of each term in a text, above 0; None where words are counted.
    """

    terms: pa.Array
    starts: Numbers
    rows: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.uint16]
    lengths: npt.NDArray[np.uint32]
    forms: pa.Array
    form_terms: npt.NDArray[np.uint32]
    impacts: npt.NDArray[np.float32] | None = None

    @property
    def fields(self) -> int:
        return len(self.lengths)


def postings_of(columns: Sequence[Sequence[Any]], analyzer: Analyzer) -> Postings:
    """The postings of texts: one column for each field, all of the same number of rows."""
    words = _Words()
    number = words.__getitem__
    found: list[int] = []
    fields, rows = len(columns), len(columns[0])
    lengths = np.zeros((fields, rows), np.uint32)
    for field, column in enumerate(columns):
        for row, text in enumerate(whole_texts(column)):
            before = len(found)
            found.extend(map(number, analyzer.words(text)))
            lengths[field, row] = len(found) - before
    stems = analyzer.stems
    stemmed = [stems[word] for word in words]
    terms, term_of_word = _sorted(stemmed)
    per_text = lengths.astype(np.int64).reshape(-1)
    texts = np.repeat(np.arange(fields * rows), per_text)
    keys = term_of_word[np.array(found, np.int64)] * (fields * rows) + texts
    keys, counts = np.unique(keys, return_counts=True)
    own = [at for at, (word, stem) in enumerate(zip(words, stemmed, strict=True)) if word != stem]
    listed = list(words)
    forms, order = _sorted([listed[at] for at in own])
    form_terms = np.zeros(len(forms), np.uint32)
    form_terms[order] = term_of_word[np.array(own, np.int64)]
    return _listed(terms, keys, counts, lengths, forms, form_terms)


def weighted_postings(columns: Sequence[Sequence[Mapping[str, float]]]) -> Postings:
    """The postings of terms with weights: one column for each field, of the same number of rows."""
    words = _Words()
    fields, rows = len(columns), len(columns[0])
    lengths = np.zeros((fields, rows), np.uint32)
    numbers: list[int] = []
    weights: list[float] = []
    for field, column in enumerate(columns):
        for row, found in enumerate(column):
            numbers.extend(map(words.__getitem__, found))
            weights.extend(found.values())
            lengths[field, row] = len(found)
    terms, term_of_word = _sorted(list(words))
    texts = np.repeat(np.arange(fields * rows), lengths.astype(np.int64).reshape(-1))
    keys = term_of_word[np.array(numbers, np.int64)] * (fields * rows) + texts
    order = np.argsort(keys, kind="stable")
    impacts = np.maximum(np.array(weights, np.float32)[order], LEAST)
    ones = np.ones(len(keys), np.uint16)
    return _listed(terms, keys[order], ones, lengths, *_NO_FORMS, impacts)


def kept_postings(postings: Postings, kept: npt.NDArray[np.bool_]) -> Postings:
    """The postings with weights of the rows that are kept, and of terms that these have."""
    fields = postings.fields
    lists = np.repeat(np.arange(len(postings.starts) - 1), np.diff(postings.starts))
    here = kept[postings.rows]
    lists, texts = lists[here], (np.cumsum(kept) - 1)[postings.rows[here]]
    used, numbers = np.unique(lists // fields, return_inverse=True)
    left = int(np.count_nonzero(kept))
    keys = numbers * (fields * left) + (lists % fields) * left + texts
    assert postings.impacts is not None
    return _listed(
        postings.terms.take(pa.array(used)),
        keys,
        postings.counts[here],
        np.ascontiguousarray(postings.lengths[:, kept]),
        *_NO_FORMS,
        postings.impacts[here],
    )


def merged_postings(parts: Sequence[Postings]) -> Postings:
    """The postings of segments that follow one another, all of whose rows stay."""
    terms = _union([part.terms for part in parts])
    forms = _union([part.forms for part in parts])
    lengths = np.concatenate([part.lengths for part in parts], axis=1)
    form_terms = np.zeros(len(forms), np.uint32)
    fields, rows = lengths.shape
    keys, counts, first = [], [], 0
    for part in parts:
        renumbered = _numbers_in(part.terms, terms)
        lists = np.repeat(np.arange(len(part.starts) - 1), np.diff(part.starts))
        texts = (lists % fields) * rows + part.rows.astype(np.int64) + first
        keys.append(renumbered[lists // fields] * (fields * rows) + texts)
        counts.append(part.counts)
        form_terms[_numbers_in(part.forms, forms)] = renumbered[part.form_terms]
        first += part.lengths.shape[1]
    joined = np.concatenate(keys)
    order = np.argsort(joined, kind="stable")
    impacts = [part.impacts for part in parts if part.impacts is not None]
    return _listed(
        terms,
        joined[order],
        np.concatenate(counts)[order],
        lengths,
        forms,
        form_terms,
        np.concatenate(impacts)[order] if impacts else None,
    )


def _listed(
    terms: pa.Array,
    keys: Numbers,
    counts: npt.NDArray[Any],
    lengths: npt.NDArray[np.uint32],
    forms: pa.Array,
    form_terms: npt.NDArray[np.uint32],
    impacts: npt.NDArray[np.float32] | None = None,
) -> Postings:
    """Postings by ascending keys `(term * fields + field) * rows + row`."""
    fields, rows = lengths.shape
    lists = keys // max(rows, 1)
    starts = np.searchsorted(lists, np.arange(len(terms) * fields + 1))
    return Postings(
        terms,
        starts.astype(np.int64),
        (keys - lists * rows).astype(np.uint32),
        np.minimum(counts, MOST).astype(np.uint16),
        lengths,
        forms,
        form_terms,
        impacts,
    )


def _sorted(words: Sequence[str]) -> tuple[pa.Array, Numbers]:
    """Different words in the order of their bytes, and the number in it of each word given."""
    kind = pa.large_string()
    found = constants_in_arrow(words, kind) if len(words) <= FEW_WORDS else pa.array(words, kind)
    unique = _union([found])
    return unique, _numbers_in(found, unique)


def _union(parts: Sequence[pa.Array]) -> pa.Array:
    unique = pc.unique(pa.chunked_array(parts, pa.large_string()))
    return unique.take(pc.sort_indices(unique))


def _numbers_in(words: pa.Array, unique: pa.Array) -> Numbers:
    found = pc.index_in(words, unique).cast(pa.int64())
    return numbers_in_numpy(found).astype(np.int64)


class _Words(dict[str, int]):
    """Words and their numbers, in the order in which they came."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number
