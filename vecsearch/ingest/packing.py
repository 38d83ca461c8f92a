"""Pack the sentences of a text into passages of bounded length.

What fits is packed, from the strongest boundaries to the weakest: paragraphs, sentences, lines,
clauses, words, and characters at last. See sentences.py for where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from vecsearch.common.scripts import weighted_length
from vecsearch.ingest.sentences import (
    LEVELS,
    LONGEST_CLUSTER,
    Span,
    breaks,
    is_cluster_start,
    mark_boundaries,
    may_cut,
    resume_point,
    section_spans,
    trimmed_spans,
)


class Measure(Protocol):
    """How long pieces of text are, in whatever unit; the parts of a text add up to about it."""

    def sizes(self, pieces: Sequence[str]) -> list[int]:
        """The length of each piece."""


class Weighted:
    """The length in characters.

    Args:
        cjk_weight: What a Chinese, Japanese or Korean character counts.
    """

    def __init__(self, cjk_weight: int) -> None:
        self.cjk_weight = cjk_weight

    def sizes(self, pieces: Sequence[str]) -> list[int]:
        """The weighted length of each piece."""
        return [weighted_length(piece, self.cjk_weight) for piece in pieces]


class Packer:
    """Packs one text.

    Args:
        text: The document.
        measure: What lengths are counted in.
        limit: The longest passage, overlap included.
        overlap: The longest repetition of a passage's end in the next.
        reserve: What to leave free in the passages of the section that begins at a position.
    """

    def __init__(
        self,
        text: str,
        measure: Measure,
        limit: int,
        overlap: int = 0,
        reserve: Callable[[int], int] = lambda start: 0,
    ) -> None:
        self.text = text
        self.marked, self.headings = mark_boundaries(text)
        self.measure = measure
        self.limit = limit - overlap
        self.overlap = overlap
        self.reserve = reserve

    def spans(self) -> list[Span]:
        """The passages; none crosses the start of a section."""
        sections = section_spans(self.marked, self.headings)
        sizes = self.measure.sizes([self.marked[start:end] for start, end in sections])
        return [
            span
            for section, size in zip(sections, sizes, strict=True)
            for span in self._section(section, size)
        ]

    def _section(self, section: Span, size: int) -> list[Span]:
        if size <= self.limit - self.reserve(section[0]):
            return trimmed_spans(self.text, [section])
        limit = self.limit - self.reserve(section[1] - 1)
        return self.cut(section, limit)

    def cut(self, span: Span, limit: int) -> list[Span]:
        """The passages of a part of the text, none longer than a limit."""
        pieces = self._pieces(span, 0, limit)
        return self._overlapping(self._joined(trimmed_spans(self.text, pieces), limit))

    def _size(self, text: str) -> int:
        return self.measure.sizes([text])[0]

    def _pieces(self, span: Span, level: int, limit: int) -> list[Span]:
        """Neighboring pieces that are not too long, cut at a level's boundaries and packed."""
        start, end = span
        if level == len(LEVELS):
            return list(self._by_length(span, limit))
        cuts = list(breaks(LEVELS[level], self.marked, start, end))
        if not cuts:
            return self._pieces(span, level + 1, limit)
        parts = list(pairwise([start, *cuts, end]))
        sizes = self.measure.sizes([self.marked[first:last] for first, last in parts])
        packed: list[Span] = []
        used = limit + 1
        for part, size in zip(parts, sizes, strict=True):
            if size > limit:
                packed += self._pieces(part, level + 1, limit)
                used = limit + 1
            elif used + size <= limit:
                packed[-1] = packed[-1][0], part[1]
                used += size
            else:
                packed.append(part)
                used = size
        return packed

    def _by_length(self, span: Span, limit: int) -> Iterator[Span]:
        """Cut a piece without any boundary by length, but not inside what is read as one
        character, unless that is too long alone."""
        start, end = span
        while start < end:
            fitting = self._longest_fitting(start, end, limit)
            if fitting >= end:
                break
            cut = self._good_cut(start, fitting)
            yield start, cut
            start = cut
        yield start, end

    def _longest_fitting(self, start: int, end: int, limit: int) -> int:
        """The last position up to which a piece fits; at least one character."""
        if isinstance(self.measure, Weighted):
            used = 0
            for position in range(start, end):
                used += self._size(self.marked[position])
                if used > limit:
                    return max(position, start + 1)
            return end
        # Tokens have no lengths of their own, so a run of them is found by halves.
        last = min(end, start + 16 * max(1, limit))
        low, high = start + 1, last
        if self._size(self.marked[start:high]) <= limit:
            return high
        while low < high:
            middle = (low + high + 1) // 2
            if self._size(self.marked[start:middle]) <= limit:
                low = middle
            else:
                high = middle - 1
        return low

    def _good_cut(self, start: int, position: int) -> int:
        """The last place up to a position where a piece may be cut."""
        lowest = max(start, position - LONGEST_CLUSTER)
        for allowed in (may_cut, is_cluster_start):
            for candidate in range(position, lowest, -1):
                if allowed(self.text, candidate):
                    return candidate
        return position

    def _joined(self, spans: list[Span], limit: int) -> list[Span]:
        """Join neighbors that fit into one passage: what a cut inside a long sentence leaves over
        is often too short to mean anything alone."""
        starts = [start for start, _ in spans]
        bounds = [*starts, spans[-1][1]] if spans else []
        whole = self.measure.sizes([self.marked[a:b] for a, b in pairwise(bounds)])
        trimmed = self.measure.sizes([self.marked[start:end] for start, end in spans])
        joined: list[Span] = []
        used = 0  # of the last passage, with the white space after it
        for (start, end), size, trimmed_size in zip(spans, whole, trimmed, strict=True):
            if joined and used + trimmed_size <= limit:
                joined[-1] = joined[-1][0], end
                used += size
            else:
                joined.append((start, end))
                used = size
        return joined

    def _overlapping(self, spans: list[Span]) -> list[Span]:
        """The passages of a section, extended backwards over the end of the passage before."""
        if not self.overlap:
            return spans
        widened = spans[:1]
        for (previous, _), (start, end) in pairwise(spans):
            # The whole passage before may be repeated, unless it would become a part of this one.
            lowest = previous if widened[-1][0] < previous else previous + 1
            room, floor = self.overlap, start
            while floor > lowest and (room := room - self._size(self.marked[floor - 1])) >= 0:
                floor -= 1
            resumed = floor if floor == previous else resume_point(self.marked, floor, start)
            widened.append((resumed, end))
        return widened
