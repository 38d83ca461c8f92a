"""Search by vectors, by words, or by both: what the arguments of `search` ask for, and its hits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, overload

import numpy as np

from vecsearch.common.arguments import check_one_of
from vecsearch.common.arrays import Positions, Vectors
from vecsearch.errors import InvalidInputError
from vecsearch.query.encode import QueryEncoder
from vecsearch.query.fusion import DEFAULT, Doubles, Fusion, ListScores, depth_for, fusion_of
from vecsearch.query.paths import Found
from vecsearch.query.results import Hits, ListPlace
from vecsearch.query.searcher import Searcher
from vecsearch.query.text.search import TextQuery
from vecsearch.query.vectors import many_queries
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Plan, counted

Mode = Literal["vector", "text", "hybrid"]
MODES = ("vector", "text", "hybrid")


class Question(NamedTuple):
    """One question, in the forms that its mode needs.

    Attributes:
        words: A text to search by its words; None if there is none.
        vector: A vector, or what is embedded; None if there is none.
    """

    words: Any = None
    vector: Any = None


def question(query: Any, text: Any, vector: Any, mode: str) -> Question:
    """What the arguments of a search ask for.

    Raises InvalidInputError for arguments that do not go together.
    """
    check_one_of("mode", mode, MODES)
    if mode == "vector":
        given = [item for item in (query, vector, text) if item is not None]
        if len(given) != 1:
            raise InvalidInputError(
                "search by vectors takes one query"
                if given
                else "the query is missing: give a text or a vector",
                hint='mode="hybrid" takes a text and a vector',
                command_hint="--mode hybrid takes a text and a vector",
            )
        return Question(vector=given[0])
    words = query if text is None else text
    if words is None or (text is not None and query is not None and vector is not None):
        raise InvalidInputError(
            "the query is missing: give a text"
            if words is None
            else "the query is given twice: leave out query, or text= or vector="
        )
    if mode == "text":
        if vector is not None or (text is not None and query is not None):
            raise InvalidInputError(
                "search by words takes one text",
                hint='mode="hybrid" takes a text and a vector',
                command_hint="--mode hybrid takes a text and a vector",
            )
        return Question(words=words)
    if vector is None:
        vector = query if query is not None else text
    return Question(words, vector)


def questions(queries: Any, texts: Any, vectors: Any, mode: str) -> list[Question]:
    """What the arguments of a batch of searches ask for.

    Raises InvalidInputError for arguments that do not go together.
    """
    given = {"queries": queries, "texts": texts, "vectors": vectors}
    listed: dict[str, list[Any] | None] = {
        name: None if values is None else list(many_queries(values))
        for name, values in given.items()
    }
    counts = {name: len(values) for name, values in listed.items() if values is not None}
    if not counts:
        question(None, None, None, mode)
    if len(set(counts.values())) > 1:
        numbers = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise InvalidInputError(f"there are {numbers}: give as many of each")
    asked = []
    for at in range(next(iter(counts.values()))):
        query, text, vector = (None if each is None else each[at] for each in listed.values())
        asked.append(question(query, text, vector, mode))
    return asked


def filters_for(where: Any, count: int) -> list[Any]:
    """The filter of each of so many queries.

    Raises InvalidInputError for another number of filters.
    """
    wheres = list(where) if isinstance(where, list | tuple) else [where] * count
    if len(wheres) != count:
        raise InvalidInputError(
            f"{counted(len(wheres), 'filter')} for {counted(count, 'query', 'queries')}: give one "
            "for all, or one a query"
        )
    return wheres


def only_with_words(**given: Any) -> None:
    """Raises InvalidInputError if an argument was given that search by vectors does not take."""
    for name, value in given.items():
        if value is not None:
            raise InvalidInputError(
                f"{name}= is for searches by words",
                hint='give mode="text" or mode="hybrid" too',
                command_hint="give --mode text or --mode hybrid too",
            )


def fusion_for(manifest: Manifest, given: Any) -> Fusion:
    """The fusion of a search: the caller's, the collection's, or the default."""
    if given is not None:
        return fusion_of(given)
    full_text = manifest.full_text
    if full_text is None or full_text.fusion is None:
        return DEFAULT
    return fusion_of(full_text.fusion)


class ModeSearch:
    """Searches by words and vectors in one snapshot.

    Args:
        searcher: The snapshot.
        encoder: Gives what makes vectors of queries.
        mode: "text" or "hybrid".
        using: The columns to search by words; None for all.
        fusion: How two lists become one; None for the collection's way.
        passages: Whether hits are passages.
    """

    def __init__(
        self,
        searcher: Searcher,
        encoder: Callable[[Manifest], QueryEncoder],
        mode: str,
        using: Any,
        fusion: Any,
        passages: bool,
    ) -> None:
        manifest = searcher.snapshot.manifest
        self.searcher = searcher
        self.mode = mode
        self._encoder = encoder
        self._using = using
        self._fusion = fusion_for(manifest, fusion)
        self._by_document = manifest.chunked and not passages

    def run(
        self,
        asked: Sequence[Question],
        k: int,
        selections: Sequence[RowSelection],
        recall: float,
        exact: bool,
    ) -> list[Hits]:
        """The hits of some questions, each with its own selection.

        Args:
            asked: The questions.
            k: Maximum number of hits of each.
            selections: The rows that may be found.
            recall: The recall of the search by vectors, in 0..1.
            exact: Whether that is exact.
        """
        read = [self.read(each.words) for each in asked]
        if self.mode == "text":
            pairs = zip(read, selections, strict=True)
            return [self.text(query, k, selection) for query, selection in pairs]
        if not asked:
            return []
        encoder = self._encoder(self.searcher.snapshot.manifest)
        if len(asked) == 1:
            vectors = encoder.encode(asked[0].vector)[None]
        else:
            vectors = encoder.encode_many([each.vector for each in asked])
        found = self.vectors(vectors, k, selections, recall, exact)
        return [
            self.fused(query, vector, each, k, selection)
            for query, vector, each, selection in zip(read, vectors, found, selections, strict=True)
        ]

    def read(self, words: Any) -> TextQuery:
        """A question in words. In a hybrid search, all is plain words."""
        return self.searcher.words.read(words, self._using, syntax=self.mode == "text")

    def text(self, query: TextQuery, k: int, selection: RowSelection) -> Hits:
        """The hits of a search by words."""
        ranking = self.searcher.words.search(query, k, selection, passages=not self._by_document)
        words = counted(len(query.groups), "word")
        plan = Plan("text", f"BM25 of {words}", selection.count)
        return Hits(
            self.searcher.snapshot,
            ranking.positions,
            ranking.scores.astype(np.float32),
            plan,
            words=query.found(),
        )

    def vectors(
        self,
        queries: Vectors,
        k: int,
        selections: Sequence[RowSelection],
        recall: float,
        exact: bool,
    ) -> list[Found]:
        """The best documents by vectors, as many as are fused."""
        depth = depth_for(k)
        if len(queries) == 1:
            search = self.searcher.documents if self._by_document else self.searcher.search
            return [search(queries[0], depth, selections[0], recall, exact)]
        batch = self.searcher.documents_batch if self._by_document else self.searcher.batch
        return batch(queries, depth, selections, recall, exact)

    def fused(
        self, query: TextQuery, vector: Vectors, found: Found, k: int, selection: RowSelection
    ) -> Hits:
        """The hits of a hybrid search, from the best by vectors."""
        words = self.searcher.words
        ranking = words.search(query, depth_for(k), selection, passages=not self._by_document)
        merged = _Merged(self.searcher, ranking.positions, found.positions, self._by_document)
        by_text = merged.part(
            ranking.positions,
            ranking.scores,
            lambda rows: words.scores_at(query, rows),
            selection,
        )
        by_vector = merged.part(
            found.positions,
            found.scores.astype(np.float64),
            lambda rows: self.searcher.scorer.final_scores(vector[None], rows[None])[0],
            selection,
        )
        scores = self._fusion.fuse(by_text, by_vector)
        best = np.lexsort((merged.candidates, -scores))[:k]
        method = self._fusion.method
        plan = Plan(
            "hybrid",
            f"{method} fusion of BM25 of {counted(len(query.groups), 'word')} and of vectors "
            f"({found.plan.method} search)",
            selection.count,
            found.plan.expected_recall,
        )
        return Hits(
            self.searcher.snapshot,
            merged.candidates[best],
            scores[best].astype(np.float32),
            plan,
            parts=Parts(by_vector, by_text, best),
            words=query.found(),
        )


class Parts(Sequence[Mapping[str, ListPlace]]):
    """The ranks and scores of hits in both lists, made when they are looked at."""

    def __init__(self, vector: ListScores, text: ListScores, best: Positions) -> None:
        self._lists = {"vector": vector, "text": text}
        self._best = best

    def __len__(self) -> int:
        return len(self._best)

    @overload
    def __getitem__(self, at: int) -> Mapping[str, ListPlace]: ...
    @overload
    def __getitem__(self, at: slice) -> list[Mapping[str, ListPlace]]: ...
    def __getitem__(
        self, at: int | slice
    ) -> Mapping[str, ListPlace] | list[Mapping[str, ListPlace]]:
        if isinstance(at, slice):
            return [self[number] for number in range(len(self))[at]]
        number = int(self._best[at])
        return {name: _place(part, number) for name, part in self._lists.items()}


def _place(part: ListScores, at: int) -> ListPlace:
    rank = int(part.ranks[at])
    return ListPlace(rank or None, float(part.scores[at]))


class _Merged:
    """The candidates of two lists. A document is in both lists by its best passages.

    Attributes:
        candidates: Where they are, each once: for a document, the passage that was found first.
    """

    def __init__(
        self, searcher: Searcher, text: Positions, vector: Positions, by_document: bool
    ) -> None:
        self._searcher = searcher
        self._numbers: dict[Any, int] | None = None
        if not by_document:
            self.candidates = np.unique(np.concatenate([text, vector]))
            return
        self._numbers = {}
        found: list[int] = []
        for positions in (text, vector):
            ids = searcher.snapshot.ids_at(positions)
            for name, position in zip(ids, positions.tolist(), strict=True):
                if name not in self._numbers:
                    self._numbers[name] = len(found)
                    found.append(position)
        self.candidates = np.array(found, np.int64)

    def part(
        self,
        positions: Positions,
        listed: Doubles,
        score: Callable[[Positions], Doubles],
        selection: RowSelection,
    ) -> ListScores:
        """What one list says of all candidates; those that it lacks are scored."""
        count = len(self.candidates)
        ranks, scores = np.zeros(count, np.int64), np.zeros(count)
        if self._numbers is None:
            at = np.searchsorted(self.candidates, positions)
        else:
            ids = self._searcher.snapshot.ids_at(positions)
            at = np.array([self._numbers[name] for name in ids], np.int64)
        ranks[at], scores[at] = np.arange(1, len(at) + 1), listed
        missing = np.flatnonzero(ranks == 0)
        if len(missing):
            if self._numbers is None:
                scores[missing] = score(self.candidates[missing])
            else:
                scores[missing] = self._of_documents(missing, score, selection)
        return ListScores(ranks, scores, listed)

    def _of_documents(
        self, missing: Positions, score: Callable[[Positions], Doubles], selection: RowSelection
    ) -> Doubles:
        """The scores of documents: those of their best selected passages."""
        snapshot = self._searcher.snapshot
        ids = snapshot.take([snapshot.manifest.id_column], self.candidates[missing]).column(0)
        owners, rows = snapshot.locate(ids)
        if selection.mask is not None:
            owners, rows = owners[selection.mask[rows]], rows[selection.mask[rows]]
        best = np.full(len(missing), -np.inf)
        np.maximum.at(best, owners, score(rows))
        return best
