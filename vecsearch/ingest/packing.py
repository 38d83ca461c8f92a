"""Pack the sentences of a text into passages of bounded length.

Chonkie's recursive chunker packs what fits (the extra `chunk`; no tokenizer, no network). It reads
marked text, see sentences.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

from vecsearch.common.optional import require
from vecsearch.common.scripts import weighted_length
from vecsearch.ingest.sentences import (
    LONGEST_CLUSTER,
    Span,
    is_cluster_start,
    mark_boundaries,
    resume_point,
    section_spans,
    trimmed_spans,
)


class Packer:
    """Packs one text.

    Args:
        text: The document.
        max_chars: The longest passage, overlap included.
        overlap: The longest repetition of a passage's end in the next.
        cjk_weight: What a Chinese, Japanese or Korean character counts.
    """

    def __init__(self, text: str, max_chars: int, overlap: int, cjk_weight: int) -> None:
        self.text = text
        self.marked = mark_boundaries(text)
        self.limit = max_chars - overlap
        self.overlap = overlap
        self.cjk_weight = cjk_weight

    def spans(self) -> list[Span]:
        """The passages; none crosses the start of a section."""
        return [
            span for start, end in section_spans(self.marked) for span in self._section(start, end)
        ]

    def _section(self, start: int, end: int) -> list[Span]:
        if self._length(self.marked[start:end]) <= self.limit:
            return trimmed_spans(self.text, [(start, end)])
        packed = _chonkie(self.limit, self.cjk_weight).chunk(self.marked[start:end])
        pieces = [
            piece
            for chunk in packed
            for piece in self._cut(start + chunk.start_index, start + chunk.end_index)
        ]
        return self._overlapping(self._joined(trimmed_spans(self.text, pieces)))

    def _length(self, text: str) -> int:
        return weighted_length(text, self.cjk_weight)

    def _cut(self, start: int, end: int) -> Iterator[Span]:
        """Cut a piece without any boundary by length, but not inside what is read as one
        character, unless that is too long alone."""
        used = 0
        for position in range(start, end):
            used += self._length(self.text[position])
            if used > self.limit:
                cut = self._cluster_start(start, position)
                yield start, cut
                start, used = cut, self._length(self.text[cut : position + 1])
        yield start, end

    def _cluster_start(self, start: int, position: int) -> int:
        """The start of the cluster that holds `position`, where the part up to there fits."""
        used = 0
        for candidate in range(position, max(start, position - LONGEST_CLUSTER), -1):
            used += self._length(self.text[candidate])
            if used > self.limit:
                break
            if is_cluster_start(self.text, candidate):
                return candidate
        return position

    def _joined(self, spans: list[Span]) -> list[Span]:
        """Join neighbors that fit into one passage: what a cut inside a long sentence leaves over
        is often too short to mean anything alone."""
        joined: list[Span] = []
        for start, end in spans:
            if joined and self._length(self.marked[joined[-1][0] : end]) <= self.limit:
                start = joined.pop()[0]
            joined.append((start, end))
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
            while floor > lowest and (room := room - self._length(self.marked[floor - 1])) >= 0:
                floor -= 1
            resumed = floor if floor == previous else resume_point(self.marked, floor, start)
            widened.append((resumed, end))
        return widened


@lru_cache(maxsize=16)
def _chonkie(limit: int, cjk_weight: int) -> Any:
    """The chunker of sections: paragraphs, sentences, lines, clauses, words, in that order."""
    chonkie = require("chonkie", "chonkie", "chunk", "Splitting long text")
    types = require("chonkie.types", "chonkie", "chunk", "Splitting long text")
    levels = [
        types.RecursiveLevel(delimiters=["\n\n"]),
        types.RecursiveLevel(delimiters=[". ", ".\n", "。"]),
        types.RecursiveLevel(delimiters=["\n"]),
        types.RecursiveLevel(delimiters=[", ", "; ", ": ", "，", "、", "：", "—", "…"]),
        types.RecursiveLevel(whitespace=True),
    ]
    return chonkie.RecursiveChunker(
        tokenizer=partial(weighted_length, cjk_weight=cjk_weight),
        chunk_size=limit,
        rules=types.RecursiveRules(levels=levels),
        min_characters_per_chunk=1,
    )
