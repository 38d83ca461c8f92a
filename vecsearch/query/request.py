"""One request: which rows may be found, how surely, and what is made of the ranking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.query.paging import check_pages, pages
from vecsearch.query.paths import Found
from vecsearch.query.ranking import DocumentRanking, Ranking, VectorRanking
from vecsearch.query.results import Hits
from vecsearch.query.searcher import OVERFETCH, Searcher
from vecsearch.query.shape import Shape, shaped
from vecsearch.storage.selection import RowSelection


@dataclass(slots=True)
class Request:
    """What a caller asks of a searcher, apart from the query.

    Attributes:
        searcher: What is searched.
        selection: The rows that may be found.
        recall: The target in 0..1.
        exact: Whether every selected row is scored.
        passages: Whether passages are found, not documents.
        shape: What is made of the ranking.
        excluded: Positions of rows that are left out, or None.
    """

    searcher: Searcher
    selection: RowSelection
    recall: float
    exact: bool
    passages: bool
    shape: Shape
    excluded: Positions | None = None

    def by_vector(self, query: Vectors) -> VectorRanking:
        """The ranking by similarity to a vector."""
        return VectorRanking(
            self.searcher, query, self.selection, self.recall, self.exact, self.excluded
        )

    def search(self, query: Vectors) -> Hits:
        """The hits of a vector."""
        searcher, shape = self.searcher, self.shape
        if self.is_plain:
            found = searcher.search(query, shape.k, self.selection, self.recall, self.exact)
            return Hits(searcher.snapshot, found.positions, found.scores, found.plan)
        return self.answer(self.by_vector(query))

    @property
    def by_row(self) -> bool:
        """Whether each row is a hit, not a passage of a document that is one."""
        return self.passages or not self.searcher.chunked

    @property
    def is_plain(self) -> bool:
        """Whether the rows that are found are the hits, as in most searches."""
        return self.by_row and self.excluded is None and self.shape.is_plain

    def answer(self, ranking: Ranking) -> Hits:
        """The hits of a ranking of rows."""
        return self._hits(shaped(self._units(ranking), self.shape, self.searcher.scorer))

    def pages(self, ranking: Ranking, size: int) -> Iterator[Hits]:
        """All matches of a ranking in pages. Raises InvalidInputError at once."""
        size = check_pages(size, self.shape)
        return pages(self._units(ranking), size, self.shape, self.searcher.scorer)

    def matches(self, ranking: Ranking, min_score: float) -> Found:
        """All documents, or passages, that score at least `min_score`."""
        return self._units(ranking).matches(min_score)

    def _units(self, ranking: Ranking) -> Ranking:
        if self.by_row or ranking.documents:
            return ranking
        return DocumentRanking(ranking, self.searcher.snapshot)

    def _hits(self, found: Found) -> Hits:
        snapshot = self.searcher.snapshot
        return Hits(
            snapshot, found.positions, found.scores, found.plan, group_by=self.shape.group_by
        )


def answers(queries: Vectors, request: Request, selections: Sequence[RowSelection]) -> list[Hits]:
    """The hits of many queries, float32 (nq, dim), each among its own rows, on all cores."""
    searcher, shape = request.searcher, request.shape
    if request.is_plain:
        found = searcher.batch(queries, shape.k, selections, request.recall, request.exact)
        snapshot = searcher.snapshot
        return [Hits(snapshot, each.positions, each.scores, each.plan) for each in found]
    excluded = 0 if request.excluded is None else len(request.excluded)
    width = shape.width if request.by_row else shape.width * OVERFETCH
    requests = [replace(request, selection=selection) for selection in selections]
    rankings = [each.by_vector(query) for query, each in zip(queries, requests, strict=True)]
    if not excluded:
        found = searcher.batch(queries, width, selections, request.recall, request.exact)
        for ranking, first in zip(rankings, found, strict=True):
            ranking.start_with(width, first)
    return [each.answer(ranking) for each, ranking in zip(requests, rankings, strict=True)]
