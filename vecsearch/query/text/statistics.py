"""The words of one snapshot: postings of its segments, and statistics over all documents.

The statistics are sums over the segments, and free of deleted rows, so a score does not depend on
what was deleted or how rows are divided. Documents are counted, not passages. The length of a text
is compared with the mean of all texts that have a word in the same column.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from vecsearch.common.arrays import Mask, bools_in_numpy
from vecsearch.common.deadline import check_time
from vecsearch.common.lazy import lazy
from vecsearch.errors import QueryError
from vecsearch.index.kernels.numpy_bm25 import (
    FIELD,
    FIRST,
    LENGTH,
    ROWS,
    SCORES,
    SEGMENT,
    SHIFT,
    SKIPS,
    UPPERS,
    VALUES,
    WIDTH,
)
from vecsearch.query.text.groups import Group, Groups
from vecsearch.query.text.skips import LONG, Skips, skips_of
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.text_files import open_postings, text_columns
from vecsearch.text.analyzer import Analyzer, stored_analyzer
from vecsearch.text.dictionary import Dictionary
from vecsearch.text.weights import Weigher, stored_weigher

K1, B = 1.2, 0.75  # as in Lucene
EDIT_WEIGHT = 0.5  # each edit halves how often a word counts
TEXTS_AT_ONCE = 1024  # that are read to see whether a form of a word is still there
REMEMBERED = 20_000  # words whose lists and statistics are known
ROOM = 64 * 1024 * 1024  # bytes of what is known of the rows of their lists, at most
SPARSE = 32  # a row in so many has a word of which something is known for all rows
Numbers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
NONE: tuple[bytes, tuple[float, ...]] = (b"", ())


class Lists(NamedTuple):
    """The lists of a group, in one segment or in all.

    Attributes:
        places: int64 (lists, WIDTH), as the kernels take them.
        weights: Of each list.
        skips: The skips of long lists, to which `places` points.
    """

    places: Numbers
    weights: Doubles
    skips: Sequence[Skips] = ()


NO_LISTS = Lists(np.empty((0, WIDTH), np.int64), np.empty(0))


class Buffers(NamedTuple):
    """Working memory of one search: zeros, zeros, and any values."""

    scores: Doubles
    sums: Doubles
    touched: Numbers


class Known(NamedTuple):
    """What is known of a group.

    Attributes:
        idf: Its inverse document frequency.
        most: The most that it counts in any row, as a share of its idf.
        lists: Its lists in each segment.
        joined: Its lists in all segments.
        alone: If no segment has two of its lists: `joined` with the scores for this idf, the places
            as bytes.
        arrays: What those places point to.
    """

    idf: float
    most: float
    lists: list[Lists]
    joined: Lists
    alone: tuple[bytes, tuple[float, ...]] | None = None
    arrays: tuple[npt.NDArray[Any], ...] = ()


class Part:
    """The words of one segment. Thread-safe."""

    def __init__(self, snapshot: Snapshot, number: int) -> None:
        self._snapshot = snapshot
        self._number = number
        self.postings = open_postings(snapshot, number)
        self.terms = Dictionary(self.postings.terms)
        self.forms = Dictionary(self.postings.forms)
        self.first = int(snapshot.starts[number])
        self.rows = snapshot.manifest.segments[number].rows
        mask = snapshot.live.mask
        self.live: Mask | None = None
        if mask is not None and snapshot.manifest.segments[number].deleted:
            self.live = mask[self.first : self.first + self.rows]
        impacts = self.postings.impacts
        # What the kernels read: the values of the rows, which are weights or counts.
        self._values = self.postings.counts if impacts is None else impacts

    @lazy
    def documents(self) -> Numbers | None:
        """The number in the segment of each row's document; None if each row is one."""
        manifest = self._snapshot.manifest
        if not manifest.chunked:
            return None
        ids = self._snapshot.segments[self._number].column(manifest.id_column)
        changes = bools_in_numpy(pc.not_equal(ids[1:], ids[:-1]))
        return np.cumsum(np.append(False, changes)) if len(ids) else np.empty(0, np.int64)

    def lengths(self) -> tuple[Numbers, Numbers]:
        """For each column: terms of the live texts, and how many texts have any."""
        lengths = self.postings.lengths
        if self.live is not None:
            lengths = lengths[:, self.live]
        return lengths.sum(axis=1, dtype=np.int64), np.count_nonzero(lengths, axis=1)

    def form_terms(self, group: Group) -> dict[str, int]:
        """The terms that a group stands for because of other forms of words, and their edits.

        Forms that only deleted rows have do not count.
        """
        if group.kind == "prefix":
            found = dict.fromkeys(range(*self.forms.beginning(group.text)), 0)
        else:
            found = dict(self.forms.near(group.text, group.edits))
        if self.live is not None and found:
            living = self._living(list(found))
            found = {number: edits for number, edits in found.items() if number in living}
        terms: dict[str, int] = {}
        for number, edits in found.items():
            term = self.terms.text(int(self.postings.form_terms[number]))
            terms[term] = min(edits, terms.get(term, edits))
        return terms

    def _living(self, forms: Sequence[int]) -> set[int]:
        """Which of some forms a row has that is not deleted."""
        assert self.live is not None
        wanted = {self.forms.text(number): number for number in forms}
        count, starts = self.postings.fields, self.postings.starts
        rows = np.zeros(self.rows, bool)
        for number in {int(self.postings.form_terms[form]) for form in forms}:
            first, stop = starts[number * count], starts[(number + 1) * count]
            rows[self.postings.rows[first:stop]] = True
        found: set[int] = set()
        listed = np.flatnonzero(rows & self.live)
        segment, manifest = self._snapshot.segments[self._number], self._snapshot.manifest
        assert manifest.full_text is not None
        analyzer, names = stored_analyzer(manifest.full_text.analyzer), text_columns(manifest)
        for at in range(0, len(listed), TEXTS_AT_ONCE):
            check_time()
            batch = segment.take(names, listed[at : at + TEXTS_AT_ONCE])
            for column in batch.columns:
                for text in column.to_pylist():
                    words = analyzer.words(text or "")
                    found.update(wanted[word] for word in words if word in wanted)
            if len(found) == len(wanted):
                break
        return found

    def numbers(self, group: Group, forms: Mapping[str, int]) -> tuple[Numbers, Doubles]:
        """The terms of a group in this segment, ascending, and their weights.

        Args:
            group: The group.
            forms: `form_terms` of all segments.
        """
        if group.kind == "term":
            number = self.terms.find(group.text)
            found = np.array([number] if number >= 0 else [], np.int64)
            return found, np.ones(len(found))
        more = {self.terms.find(term): edits for term, edits in forms.items()}
        more.pop(-1, None)
        if group.kind == "prefix":
            found = np.arange(*self.terms.beginning(group.text))
            if more:
                found = np.union1d(found, np.array(list(more), np.int64))
            return found, np.ones(len(found))
        edits = dict(self.terms.near(group.text, group.edits))
        for number, distance in more.items():
            edits[number] = min(distance, edits.get(number, distance))
        found = np.array(sorted(edits), np.int64)
        return found, np.array([EDIT_WEIGHT ** edits[number] for number in found.tolist()])

    def lists(
        self, group: Group, field_weights: Sequence[float], forms: Mapping[str, int]
    ) -> Lists:
        """The lists of a group that are not empty."""
        numbers, weights = self.numbers(group, forms)
        if not len(numbers):
            return NO_LISTS
        count, starts = self.postings.fields, self.postings.starts
        fields = range(count) if group.field is None else [group.field]
        places, all_weights = [], []
        for field in fields:
            if not field_weights[field]:
                continue
            at = numbers * count + field
            begins, lengths = starts[at], starts[at + 1] - starts[at]
            listed = np.zeros((len(at), WIDTH), np.int64)
            listed[:, ROWS] = _addresses(self.postings.rows, begins)
            listed[:, VALUES] = _addresses(self._values, begins)
            listed[:, LENGTH], listed[:, FIELD] = lengths, field
            listed[:, FIRST], listed[:, SEGMENT] = self.first, self.rows
            kept = lengths > 0
            places.append(listed[kept])
            all_weights.append(weights[kept] * field_weights[field])
        if not places:
            return NO_LISTS
        return Lists(np.ascontiguousarray(np.concatenate(places)), np.concatenate(all_weights))

    def with_skips(self, lists: Lists) -> Lists:
        """The same lists, with skips for long ones."""
        skips = []
        for place in lists.places:
            if place[LENGTH] >= LONG:
                rows = self.postings.rows[self.span(place)]
                own, shift = skips_of(rows, self.rows)
                place[SKIPS], place[SHIFT] = own.ctypes.data, shift
                skips.append(own)
        return lists._replace(skips=skips)

    def span(self, place: Numbers) -> slice:
        """Where the rows of a list are among those of all lists."""
        rows = self.postings.rows
        start = (int(place[ROWS]) - rows.ctypes.data) // rows.itemsize
        return slice(start, start + int(place[LENGTH]))

    def rows_of(self, lists: Lists) -> npt.NDArray[np.uint32]:
        """The rows of some lists, each once, ascending, deleted ones included."""
        rows = self.postings.rows
        slices = [rows[self.span(place)] for place in lists.places]
        if len(slices) == 1:
            return slices[0]
        return np.unique(np.concatenate(slices)) if slices else np.empty(0, np.uint32)

    def count(self, lists: Lists) -> int:
        """How many documents that are not deleted are in some lists."""
        if len(lists.places) == 1 and self.live is None and self.documents is None:
            return int(lists.places[0, LENGTH])
        rows = self.rows_of(lists)
        if self.live is not None:
            rows = rows[self.live[rows]]
        if self.documents is None or not len(rows):
            return len(rows)
        owners = self.documents[rows]
        return 1 + int(np.count_nonzero(owners[1:] != owners[:-1]))


class Statistics:
    """The words of one snapshot. Thread-safe."""

    def __init__(self, snapshot: Snapshot) -> None:
        full_text = snapshot.manifest.full_text
        if full_text is None:
            raise QueryError(
                "the collection cannot be searched by words: it has no text index",
                hint="call build_text_index first",
                command_hint="run `vecsearch build-text` first",
            )
        self.snapshot = snapshot
        # What says what words weigh; None where words are counted.
        self.weigher: Weigher | None = stored_weigher(full_text.analyzer)
        self.analyzer: Analyzer = (
            Analyzer() if self.weigher else stored_analyzer(full_text.analyzer)
        )
        self.columns = text_columns(snapshot.manifest)
        self.groups = Groups(self.analyzer, self.columns)
        self.buffers: list[Buffers] = []  # for a search to borrow
        self._room = ROOM
        self._known: dict[tuple[Group, tuple[float, ...]], Known] = {}

    @lazy
    def parts(self) -> list[Part]:
        return [Part(self.snapshot, number) for number in range(len(self.snapshot.segments))]

    @lazy
    def norms(self) -> Doubles:
        """What the length of each text does to a count: float64 (fields, rows)."""
        terms = np.zeros(len(self.columns), np.int64)
        texts = np.zeros(len(self.columns), np.int64)
        for part in self.parts:
            more_terms, more_texts = part.lengths()
            terms, texts = terms + more_terms, texts + more_texts
        means = np.maximum(terms, 1) / np.maximum(texts, 1)
        norms = np.empty((len(self.columns), self.snapshot.rows))
        for part in self.parts:
            norms[:, part.first : part.first + part.rows] = 1 / (
                1 - B + B * part.postings.lengths.astype(np.float64) / means[:, None]
            )
        return norms

    def borrowed(self) -> Buffers:
        """Working memory that no other search uses; give it back to `buffers`."""
        try:
            return self.buffers.pop()
        except IndexError:
            rows = self.snapshot.rows
            return Buffers(np.zeros(rows), np.zeros(rows), np.empty(rows + 1, np.int64))

    def forms(self, group: Group) -> dict[str, int]:
        """The terms that a group stands for because of other forms of words, and their edits.

        They are those of all segments, so that it does not matter how rows are divided.
        """
        terms: dict[str, int] = {}
        if group.kind != "term":
            for part in self.parts:
                for term, edits in part.form_terms(group).items():
                    terms[term] = min(edits, terms.get(term, edits))
        return terms

    def known(self, group: Group, field_weights: tuple[float, ...]) -> Known:
        """The lists and the inverse document frequency of a group, whatever its factor is."""
        key = group, field_weights
        known = self._known.get(key)
        if known is None:
            forms = self.forms(group)
            lists = [part.lists(group, field_weights, forms) for part in self.parts]
            found = sum(part.count(each) for part, each in zip(self.parts, lists, strict=True))
            documents = self.snapshot.manifest.documents
            idf = math.log1p((documents - found + 0.5) / (found + 0.5))
            lists = [part.with_skips(each) for part, each in zip(self.parts, lists, strict=True)]
            known = self._known_of(idf, lists)
            if len(self._known) >= REMEMBERED:
                self._known, self._room = {}, ROOM
            self._known[key] = known
        return known

    def weighted(self, term: str, field_weights: tuple[float, ...]) -> Known:
        """The lists of a term with weights, and the largest weight, whatever it counts."""
        group = Group("term", term)
        lists = [part.lists(group, field_weights, {}) for part in self.parts]
        most = 0.0
        for part, each in zip(self.parts, lists, strict=True):
            assert part.postings.impacts is not None
            for place, weight in zip(each.places, each.weights, strict=True):
                largest = part.postings.impacts[part.span(place)].max()
                most = max(most, float(weight) * float(largest))
        return Known(1.0, most, lists, joined_lists(lists))

    def _known_of(self, idf: float, lists: list[Lists]) -> Known:
        joined = joined_lists(lists)
        if not len(joined.weights):
            return Known(idf, 0.0, lists, joined, NONE)
        if max(len(each.weights) for each in lists) > 1:
            return Known(idf, 1.0, lists, joined)
        rows, values = [], []  # of each segment that has any
        for part, each in zip(self.parts, lists, strict=True):
            for place, weight in zip(each.places, each.weights, strict=True):
                span = part.span(place)
                here = part.postings.rows[span] + np.int64(part.first)
                norms = self.norms[place[FIELD]][here]
                rows.append(here)
                values.append(weight * part.postings.counts[span] * norms)
        largest = max(float(each.max()) for each in values)
        most = largest / (K1 + largest)
        places, weights = joined.places.copy(), tuple(joined.weights.tolist())
        count, all_rows = sum(map(len, values)), self.snapshot.rows
        is_dense = count >= max(LONG, all_rows // SPARSE)
        size = 8 * count + is_dense * all_rows
        if size > self._room:
            return Known(idf, most, lists, joined, (places.tobytes(), weights))
        self._room -= size
        arrays: list[npt.NDArray[Any]] = []
        for number, each in enumerate(values):
            arrays.append(idf * each / (K1 + each))  # in the order of the kernels
            places[number, SCORES] = arrays[number].ctypes.data
        if is_dense:
            uppers, step = np.zeros(all_rows, np.uint8), 255 / max(map(np.max, arrays))
            for here, scores in zip(rows, arrays, strict=True):
                uppers[here] = np.minimum(np.ceil(scores * step), 255)
            arrays.append(uppers)
            places[0, UPPERS] = uppers.ctypes.data
        return Known(idf, most, lists, joined, (places.tobytes(), weights), tuple(arrays))


def joined_lists(lists: Sequence[Lists]) -> Lists:
    """Lists as one."""
    if len(lists) == 1:
        return lists[0]
    return Lists(
        np.concatenate([each.places for each in lists]) if lists else NO_LISTS.places,
        np.concatenate([each.weights for each in lists]) if lists else NO_LISTS.weights,
        [skips for each in lists for skips in each.skips],
    )


def _addresses(values: npt.NDArray[Any], places: Numbers) -> Numbers:
    """Where values are in memory."""
    return values.ctypes.data + values.itemsize * places
