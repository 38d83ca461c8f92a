"""Search by words, or by words and vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.common.beside import beside
from vecsearch.errors import InvalidInputError
from vecsearch.index.kernels.loader import TEXT_LOADER
from vecsearch.query.encode import QueryEncoder
from vecsearch.query.fuse_rows import fused_rows
from vecsearch.query.fused import Fused, Parts
from vecsearch.query.fusion import (
    DEFAULT,
    DEPTH,
    Fusion,
    ListScores,
    depth_for,
    fusion_of,
)
from vecsearch.query.highlight import Question
from vecsearch.query.merged import Merged
from vecsearch.query.paths import Found
from vecsearch.query.questions import Asked
from vecsearch.query.ranking import DocumentRanking, VectorRanking, at_least
from vecsearch.query.request import Request
from vecsearch.query.results import Hits
from vecsearch.query.searcher import Searcher
from vecsearch.query.text.search import TextQuery, TextSearcher
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Plan

MANY_ROWS = 10_000  # in fewer, a search by words is over before another thread begins


def fusion_for(manifest: Manifest, given: Any) -> Fusion:
    """The fusion of a search: the caller's, the collection's, or the default."""
    if given is not None:
        return fusion_of(given)
    full_text = manifest.full_text
    if full_text is None or full_text.fusion is None:
        return DEFAULT
    return fusion_of(full_text.fusion)


class ModeSearch:
    """Searches by words, and by words and vectors.

    Args:
        request: What is asked, apart from the questions.
        encoder: Gives what makes vectors of queries.
        mode: "text" or "hybrid".
        using: The columns to search by words; None for all.
        fusion: How two lists become one; None for the collection's way.
    """

    def __init__(
        self,
        request: Request,
        encoder: Callable[[Manifest], QueryEncoder],
        mode: str,
        using: Any,
        fusion: Any,
    ) -> None:
        if mode == "text" and fusion is not None:
            raise InvalidInputError(
                "fusion= is for searches by words and vectors",
                hint='give mode="hybrid", or leave it out',
                command_hint="give --mode hybrid, or leave --fusion out",
            )
        manifest = request.searcher.snapshot.manifest
        self._request = request
        self._searcher = request.searcher
        self._mode = mode
        self._encoder = encoder
        self._using = using
        self._fusion = fusion_for(manifest, fusion)
        self.by_document = manifest.chunked and not request.passages

    @property
    def rows(self) -> int:
        """How many rows the snapshot has."""
        return self._searcher.snapshot.rows

    def run(self, asked: Sequence[Asked], selections: Sequence[RowSelection]) -> list[Hits]:
        """The hits of some questions, each among its own rows. Raises QueryError."""
        words = self._searcher.words
        self.vectors: Sequence[Vectors | None] = [None] * len(asked)
        read = [words.read(each.words, self._using, syntax=self._mode == "text") for each in asked]
        if self._request.excluded is not None:
            rows = self._searcher.snapshot.rows
            selections = [without(each, self._request.excluded, rows) for each in selections]
        if self._mode == "text":
            pairs = zip(read, selections, strict=True)
            return [self._text(query, selection) for query, selection in pairs]
        if not asked:
            return []
        encoder = self._encoder(self._searcher.snapshot.manifest)
        if len(asked) == 1:
            vectors = encoder.encode(asked[0].vector)[None]
        else:
            vectors = encoder.encode_many([each.vector for each in asked])
        self.vectors = list(vectors)
        depth = depth_for(self._request.shape.width)
        found = self._by_vector(vectors, depth, selections)
        return [
            self._hybrid(HybridRanking(self, *each, depth))
            for each in zip(read, vectors, selections, found, strict=True)
        ]

    def pages(self, asked: Asked, size: int) -> Iterator[Hits]:
        """All that matches a question, in pages. Raises QueryError, InvalidInputError at once."""
        ranking = self.ranking(asked)
        return _told(self._request.pages(ranking, size), ranking)

    def ranking(self, asked: Asked) -> TextRanking | HybridRanking:
        """All that matches a question, best first, as deep as somebody asks. Raises QueryError."""
        words, selection = self._searcher.words, self._request.selection
        if self._request.excluded is not None:
            selection = without(selection, self._request.excluded, self.rows)
        query = words.read(asked.words, self._using, syntax=self._mode == "text")
        if self._mode == "text":
            plan = Plan("text", query.described, selection.count)
            by_passage = not self.by_document
            return TextRanking(words, query, selection, plan, passages=by_passage)
        vector = self._encoder(self._searcher.snapshot.manifest).encode(asked.vector)
        return HybridRanking(self, query, vector, selection, None, 0)

    def _text(self, query: TextQuery, selection: RowSelection) -> Hits:
        """The hits of a search by words."""
        words, shape = self._searcher.words, self._request.shape
        if not shape.is_plain:
            plan = Plan("text", query.described, selection.count)
            by_passage = not self.by_document
            hits = self._request.answer(
                TextRanking(words, query, selection, plan, passages=by_passage)
            )
            hits.words = query.found()
            return hits
        return _hits_of(self._searcher, query, shape.k, selection, by_document=self.by_document)

    def _hybrid(self, ranking: HybridRanking) -> Hits:
        """The hits of a hybrid search."""
        if self._request.shape.is_plain:
            found = ranking.fetch(self._request.shape.k)
            hits = Hits(self._searcher.snapshot, found.positions, found.scores, found.plan)
        else:
            hits = self._request.answer(ranking)
        hits.words = ranking.query.found()
        hits.parts = ranking.parts_of(hits.positions)
        return hits

    def _by_vector(
        self, queries: Vectors, depth: int, selections: Sequence[RowSelection]
    ) -> list[Found]:
        """The best documents by vectors."""
        recall, exact = self._request.recall, self._request.exact
        if self.by_document:
            snapshot = self._searcher.snapshot
            return [
                DocumentRanking(
                    VectorRanking(self._searcher, query, selection, recall, exact), snapshot
                ).fetch(depth)
                for query, selection in zip(queries, selections, strict=True)
            ]
        if len(queries) == 1:
            return [self._searcher.search(queries[0], depth, selections[0], recall, exact)]
        return self._searcher.batch(queries, depth, selections, recall, exact)

    def fuse(
        self,
        query: TextQuery,
        vector: Vectors,
        selection: RowSelection,
        found: Found | None,
        depth: int,
        whole: Fused | None = None,
    ) -> tuple[Fused, Plan]:
        """Fuse the best by words with the best by vectors, so many of each.

        The first `DEPTH` of each list say how scores are standardized, so that a score does not
        depend on how many hits are wanted.

        Args:
            query: The words.
            vector: The vector, as it is compared.
            selection: The rows that may be found.
            found: The best by vectors, if they are known.
            depth: How many of each are fused.
            whole: What was found among all rows, if the selection is a part of them: ranks and
                scores are then those that the rows have there.
        """
        words = self._searcher.words
        if found is None:
            (found,) = self._by_vector(vector[None], depth, [selection])
        ranking = words.search(query, depth, selection, passages=not self.by_document)
        plan = _hybrid_plan(
            *(self._fusion.method, query.described, selection.count),
            *(found.plan.method, found.plan.expected_recall),
        )
        if whole is None and not self.by_document:  # most searches
            fused = fused_rows(
                *(self._searcher, query, vector, ranking, found, self._fusion, selection.count)
            )
            if fused is not None:
                return fused, plan
        merged = Merged(self._searcher, ranking, found, self.by_document)
        by_text = merged.part(0, lambda rows: words.scores_at(query, rows), selection)
        by_vector = merged.part(
            1,
            lambda rows: self._searcher.scorer.final_scores(vector[None], rows[None])[0],
            selection,
        )
        scores = self._fusion.fuse(by_text, by_vector)
        if whole is None:
            order = merged.order(scores)
        else:  # rows that are in none of the whole lists come in the order of their own
            own = scores
            at = merged.places_in(whole.candidates)
            by_text = _as_in(by_text, whole.by_text, at)
            by_vector = _as_in(by_vector, whole.by_vector, at)
            scores = self._fusion.fuse(by_text, by_vector)
            order = np.lexsort((merged.candidates, -own, -scores))
        return Fused(merged.candidates, order, scores, by_vector, by_text), plan


def plain_text(searcher: Searcher, text: str, k: int, selection: RowSelection) -> Hits:
    """The hits of a search by words with no other options. Raises QueryError."""
    query = searcher.words.read(text, syntax=True)
    by_document = searcher.snapshot.manifest.chunked
    hits = _hits_of(searcher, query, k, selection, by_document=by_document)
    hits.question = Question(text)
    return hits


def _hits_of(
    searcher: Searcher, query: TextQuery, k: int, selection: RowSelection, *, by_document: bool
) -> Hits:
    """The k best documents, or passages, by their words."""
    ranking = searcher.words.search(query, k, selection, passages=not by_document)
    return Hits(
        searcher.snapshot,
        ranking.positions,
        ranking.scores.astype(np.float32),
        _text_plan(query.described, selection.count),
        words=query.found(),
    )


@lru_cache(maxsize=256)
def _text_plan(described: str, rows: int) -> Plan:
    return Plan("text", described, rows)


@lru_cache(maxsize=256)
def _hybrid_plan(fusion: str, described: str, rows: int, vectors: str, recall: float) -> Plan:
    reason = f"{fusion} fusion of {described} and of vectors ({vectors} search)"
    return Plan("hybrid", reason, rows, recall)


def is_worth_a_thread(searcher: Searcher) -> bool:
    """Whether a search by words takes longer than to hand it to another thread.

    Only compiled code lets other threads run.
    """
    return TEXT_LOADER.module is not None and searcher.snapshot.rows >= MANY_ROWS


def plain_hybrid(
    request: Request, encoder: Callable[[Manifest], QueryEncoder], asked: Asked
) -> tuple[Hits, Vectors]:
    """The hits of a hybrid search of rows with no other options, and its vector.

    Raises QueryError.
    """
    searcher, selection, k = request.searcher, request.selection, request.shape.k
    manifest = searcher.snapshot.manifest
    fusion, words = fusion_for(manifest, None), searcher.words
    query = words.read(asked.words, syntax=False)
    half = partial(words.search, query, DEPTH, selection, passages=True)
    by_words = beside(half) if is_worth_a_thread(searcher) else half
    vector = encoder(manifest).encode(asked.vector)
    found = searcher.search(vector, DEPTH, selection, request.recall, request.exact)
    ranking = by_words()
    rows = fused_rows(searcher, query, vector, ranking, found, fusion, selection.count, k)
    if rows is None:
        search = ModeSearch(request, encoder, "hybrid", None, None)
        fused, plan = search.fuse(query, vector, selection, found, DEPTH)
    else:
        fused = rows
        plan = _hybrid_plan(
            *(fusion.method, query.described, selection.count),
            *(found.plan.method, found.plan.expected_recall),
        )
    best = fused.best(k, plan)
    hits = Hits(searcher.snapshot, best.positions, best.scores, plan, words=query.found())
    hits.parts = Parts([fused], best.positions)
    return hits, vector


def _told(pages: Iterator[Hits], ranking: TextRanking | HybridRanking) -> Iterator[Hits]:
    """Pages that know the words and the lists by which they were found."""
    for hits in pages:
        hits.words = ranking.query.found()
        if isinstance(ranking, HybridRanking):
            hits.parts = ranking.parts_of(hits.positions)
        yield hits


def _as_in(part: ListScores, whole: ListScores, at: Positions) -> ListScores:
    """What a list says of candidates, with their ranks in the whole list; `at`: -1 for no place."""
    ranks = np.where(at >= 0, whole.ranks[at], 0)
    return ListScores(ranks, part.scores, whole.listed, whole.zeros)


class TextRanking:
    """Rows by their words."""

    documents = False

    def __init__(
        self,
        words: TextSearcher,
        query: TextQuery,
        selection: RowSelection,
        plan: Plan,
        *,
        passages: bool,
    ) -> None:
        self._words, self.query, self._selection = words, query, selection
        self._plan, self._passages = plan, passages
        self.total = selection.count

    def fetch(self, width: int) -> Found:
        width = max(min(width, self.total), 1)
        found = self._words.rows(self.query, width, self._selection, passages=self._passages)
        return Found(found.positions, found.scores.astype(np.float32), self._plan)

    def among(self, rows: Positions) -> TextRanking:
        selection = only(self._selection, rows, self._words.snapshot.rows)
        return TextRanking(self._words, self.query, selection, self._plan, passages=self._passages)

    def matches(self, min_score: float) -> Found:
        return at_least(self.fetch(self.total), min_score)


class HybridRanking:
    """Documents, or passages, by words and vectors.

    Args:
        search: Fuses the lists.
        query: The words.
        vector: The vector, as it is compared.
        selection: The rows that may be found.
        found: The `depth` best by vectors; None if they are not known.
        depth: How many of each list are fused.
        whole: The ranking of all rows, if this is of a part of them.
    """

    def __init__(
        self,
        search: ModeSearch,
        query: TextQuery,
        vector: Vectors,
        selection: RowSelection,
        found: Found | None,
        depth: int,
        whole: HybridRanking | None = None,
    ) -> None:
        self.documents = search.by_document
        self._whole = whole
        self._search, self.query, self._vector = search, query, vector
        self._selection, self._found, self._depth = selection, found, depth
        self._fused: tuple[Fused, Plan] | None = None
        self._parts: list[HybridRanking] = []
        self.total = selection.count

    def fetch(self, width: int) -> Found:
        depth = depth_for(width)
        if self._fused is None or depth > self._depth:
            found = self._found if depth <= self._depth else None
            self._depth = max(depth, self._depth)
            whole = None if self._whole is None else self._whole.fused
            self._fused = self._search.fuse(
                self.query, self._vector, self._selection, found, self._depth, whole
            )
        fused, plan = self._fused
        return fused.best(width, plan)

    @property
    def fused(self) -> Fused:
        """What the deepest search so far made of the two lists."""
        if self._fused is None:
            self.fetch(1)
        assert self._fused is not None
        return self._fused[0]

    def among(self, rows: Positions) -> HybridRanking:
        selection = only(self._selection, rows, self._search.rows)
        whole = self._whole or self
        part = HybridRanking(self._search, self.query, self._vector, selection, None, 0, whole)
        whole._parts.append(part)
        return part

    def matches(self, min_score: float) -> Found:
        return at_least(self.fetch(self.total), min_score)

    def parts_of(self, positions: Positions) -> Parts:
        """The ranks and scores of some hits in both lists."""
        return Parts([self.fused, *(part.fused for part in self._parts)], positions)


def without(selection: RowSelection, rows: Positions, count: int) -> RowSelection:
    """A selection without some rows; `count` is the number of all rows."""
    mask = np.ones(count, bool) if selection.mask is None else selection.mask.copy()
    mask[rows] = False
    return RowSelection(mask, int(np.count_nonzero(mask)))


def only(selection: RowSelection, rows: Positions, count: int) -> RowSelection:
    """The selected ones of some rows; `count` is the number of all rows."""
    mask = np.zeros(count, bool)
    mask[rows] = True
    if selection.mask is not None:
        mask &= selection.mask
    return RowSelection(mask, int(np.count_nonzero(mask)))
