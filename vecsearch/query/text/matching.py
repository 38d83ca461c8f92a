"""Which rows of a segment meet the conditions of a question: AND, OR, NOT and phrases."""

from __future__ import annotations

import numpy as np

from vecsearch.common.arrays import Mask
from vecsearch.common.deadline import check_time
from vecsearch.query.text.groups import Group, Phrase
from vecsearch.query.text.statistics import Part, Statistics
from vecsearch.query.text.syntax import Clauses, Node, Word

TEXTS_AT_ONCE = 4096  # that are read for a phrase


class Matcher:
    """Finds the rows of one segment for which conditions hold.

    Args:
        statistics: The words of the snapshot.
        number: The segment.
        weights: Of each column; conditions do not look in columns of weight 0.
        passages: Whether a condition is about each passage; else it is about whole documents.
    """

    def __init__(
        self,
        statistics: Statistics,
        number: int,
        weights: tuple[float, ...],
        *,
        passages: bool,
    ) -> None:
        self._statistics = statistics
        self._number = number
        self._part: Part = statistics.parts[number]
        self._groups = statistics.groups
        self._weights = weights
        self._passages = passages

    def mask(self, node: Node, *, optional: bool = False) -> Mask | None:
        """The rows for which a condition holds; None for one without a word, which says nothing.

        Args:
            node: The condition.
            optional: Whether one of several words that are written together suffices, as in a
                question without signs.
        """
        if isinstance(node, Word):
            return self._leaf(node, optional=optional)
        masks = {
            name: [
                mask
                for each in parts
                if (mask := self.mask(each, optional=name == "should")) is not None
            ]
            for name, parts in (
                ("should", node.should),
                ("must", node.must),
                ("must_not", node.must_not),
            )
        }
        if masks["must"]:
            kept = np.logical_and.reduce(masks["must"])
        elif masks["should"]:
            kept = np.logical_or.reduce(masks["should"])
        elif masks["must_not"] and _is_unwanted(node):
            kept = np.ones(self._part.rows, bool)
        else:
            return None
        for mask in masks["must_not"]:
            kept = kept & ~mask
        return np.ascontiguousarray(kept)

    def _leaf(self, word: Word, *, optional: bool) -> Mask | None:
        groups = self._groups.of_word(word)
        if not groups:
            return None
        joined = np.logical_or if optional and word.kind != "phrase" else np.logical_and
        kept = joined.reduce([self._rows(group) for group in groups])
        if word.kind == "phrase" and len(groups) > 1:
            kept = self._with_phrase(self._groups.phrase(word), kept)
        return self._whole_documents(kept)

    def _rows(self, group: Group) -> Mask:
        mask = np.zeros(self._part.rows, bool)
        known = self._statistics.known(group.bare, self._weights)
        mask[self._part.rows_of(known.lists[self._number])] = True
        return mask

    def _whole_documents(self, mask: Mask) -> Mask:
        """All passages of the documents with a passage for which a condition holds."""
        owners = self._part.documents
        if owners is None or self._passages:
            return mask
        kept = np.zeros(self._part.rows, bool)
        kept[owners[mask]] = True
        return np.asarray(kept[owners])

    def _with_phrase(self, phrase: Phrase, candidates: Mask) -> Mask:
        """The candidates one of whose texts has the phrase."""
        kept = np.zeros(len(candidates), bool)
        snapshot, analyzer = self._statistics.snapshot, self._statistics.analyzer
        fields = range(len(self._statistics.columns)) if phrase.field is None else [phrase.field]
        names = [self._statistics.columns[field] for field in fields if self._weights[field]]
        segment = snapshot.segments[self._number]
        live = self._part.live
        rows = np.flatnonzero(candidates if live is None else candidates & live)
        for first in range(0, len(rows), TEXTS_AT_ONCE):
            check_time()
            some = rows[first : first + TEXTS_AT_ONCE]
            batch = segment.take(names, some)
            for name in names:
                for row, text in zip(some.tolist(), batch.column(name).to_pylist(), strict=True):
                    if text and not kept[row]:
                        kept[row] = phrase.is_in(analyzer.pieces(text))
        return kept


def _is_unwanted(clauses: Clauses) -> bool:
    """Whether conditions only say what is not wanted."""
    return not clauses.should and not clauses.must
