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

from vecsearch.common.arrays import Mask
from vecsearch.common.deadline import check_time
from vecsearch.common.lazy import lazy
from vecsearch.errors import QueryError
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
SCORES = 64 * 1024 * 1024  # bytes of what is known of the rows of their lists, at most
SPARSE = 32  # a row in so many has a word of which something is known for all rows
Numbers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
NO_LISTS = np.empty((0, 7), np.int64)


class Lists(NamedTuple):
    """The lists of a group in one segment.

    Attributes:
        places: int64 (lists, 7), as the kernels take them.
        weights: Of each list.
        skips: The skips of long lists, to which `places` points.
    """

    places: Numbers
    weights: Doubles
    skips: Sequence[Skips] = ()


class Buffers(NamedTuple):
    """Working memory of one search in a segment: zeros, zeros, and any values."""

    scores: Doubles
    sums: Doubles
    touched: Numbers


class Known(NamedTuple):
    """What is known of a group.

    Attributes:
        idf: Its inverse document frequency.
        most: The most that it counts in any row, as a share of its idf.
        lists: Its lists in each segment.
        alone: If there is one list in one segment: its place as bytes, and its weight.
        arrays: What that place points to.
    """

    idf: float
    most: float
    lists: list[Lists]
    alone: tuple[bytes, float] | None = None
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
        self.buffers: list[Buffers] = []  # for a search to borrow

    @lazy
    def documents(self) -> Numbers | None:
        """The number in the segment of each row's document; None if each row is one."""
        manifest = self._snapshot.manifest
        if not manifest.chunked:
            return None
        ids = self._snapshot.segments[self._number].column(manifest.id_column)
        values = ids.to_numpy(zero_copy_only=False)
        return np.cumsum(np.append(False, values[1:] != values[:-1])) if len(values) else values

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
            return Lists(NO_LISTS, np.empty(0))
        count, starts = self.postings.fields, self.postings.starts
        fields = range(count) if group.field is None else [group.field]
        places, all_weights = [], []
        for field in fields:
            if not field_weights[field]:
                continue
            at = numbers * count + field
            listed = np.zeros((len(at), 7), np.int64)
            listed[:, 0], listed[:, 1], listed[:, 2] = starts[at], starts[at + 1], field
            kept = listed[:, 1] > listed[:, 0]
            places.append(listed[kept])
            all_weights.append(weights[kept] * field_weights[field])
        if not places:
            return Lists(NO_LISTS, np.empty(0))
        return Lists(np.ascontiguousarray(np.concatenate(places)), np.concatenate(all_weights))

    def with_skips(self, lists: Lists) -> Lists:
        """The same lists, with skips for long ones."""
        skips = []
        for place in lists.places:
            start, stop = place[:2].tolist()
            if stop - start >= LONG:
                own, shift = skips_of(self.postings.rows[start:stop], self.rows)
                place[3:5] = own.ctypes.data, shift
                skips.append(own)
        return lists._replace(skips=skips)

    def rows_of(self, lists: Lists) -> npt.NDArray[np.uint32]:
        """The rows of some lists, each once, ascending, deleted ones included."""
        rows = self.postings.rows
        slices = [rows[start:stop] for start, stop in lists.places[:, :2].tolist()]
        if len(slices) == 1:
            return slices[0]
        return np.unique(np.concatenate(slices)) if slices else np.empty(0, np.uint32)

    def count(self, lists: Lists) -> int:
        """How many documents that are not deleted are in some lists."""
        if len(lists.places) == 1 and self.live is None and self.documents is None:
            return int(lists.places[0, 1] - lists.places[0, 0])
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
        self._room = SCORES
        self._known: dict[tuple[Group, tuple[float, ...]], Known] = {}

    @lazy
    def parts(self) -> list[Part]:
        return [Part(self.snapshot, number) for number in range(len(self.snapshot.segments))]

    @lazy
    def norms(self) -> list[Doubles]:
        """For each segment what the length of its texts does to a count: float64 (fields, rows)."""
        terms = np.zeros(len(self.columns), np.int64)
        texts = np.zeros(len(self.columns), np.int64)
        for part in self.parts:
            more_terms, more_texts = part.lengths()
            terms, texts = terms + more_terms, texts + more_texts
        means = np.maximum(terms, 1) / np.maximum(texts, 1)
        return [
            1 / (1 - B + B * part.postings.lengths.astype(np.float64) / means[:, None])
            for part in self.parts
        ]

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
                self._known, self._room = {}, SCORES
            self._known[key] = known
        return known

    def weighted(self, term: str, field_weights: tuple[float, ...]) -> Known:
        """The lists of a term with weights, and the largest weight, whatever it counts."""
        group = Group("term", term)
        lists = [part.lists(group, field_weights, {}) for part in self.parts]
        most = 0.0
        for part, each in zip(self.parts, lists, strict=True):
            assert part.postings.impacts is not None
            for (start, stop), weight in zip(
                each.places[:, :2].tolist(), each.weights, strict=True
            ):
                most = max(most, float(weight) * float(part.postings.impacts[start:stop].max()))
        return Known(1.0, most, lists)

    def _known_of(self, idf: float, lists: list[Lists]) -> Known:
        most = 0.0
        for number, each in enumerate(lists):
            if len(each.places) != 1:
                most = max(most, float(len(each.places) > 0))
                continue
            start, stop, field = each.places[0, :3].tolist()
            postings = self.parts[number].postings
            rows, counts = postings.rows[start:stop], postings.counts[start:stop]
            values = each.weights[0] * counts * self.norms[number][field][rows]
            largest = float(values.max())
            most = max(most, largest / (K1 + largest))
        if len(lists) != 1 or len(lists[0].places) != 1:
            return Known(idf, most, lists)
        place, weight = lists[0].places[0].copy(), float(lists[0].weights[0])
        rows_of_all = self.parts[0].rows
        is_dense = len(values) >= max(LONG, rows_of_all // SPARSE)
        size = 8 * len(values) + is_dense * rows_of_all
        if size > self._room:
            return Known(idf, most, lists, (place.tobytes(), weight))
        self._room -= size
        scores = idf * values / (K1 + values)  # in the order of the kernels
        arrays: tuple[npt.NDArray[Any], ...] = (scores,)
        place[5] = scores.ctypes.data
        if is_dense:
            uppers = np.zeros(rows_of_all, np.uint8)
            uppers[rows] = np.minimum(np.ceil(scores * (255 / scores.max())), 255)
            place[6], arrays = uppers.ctypes.data, (scores, uppers)
        return Known(idf, most, lists, (place.tobytes(), weight), arrays)
