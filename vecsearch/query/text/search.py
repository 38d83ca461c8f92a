"""The best documents for a question in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from vecsearch.common.arrays import Mask, Positions
from vecsearch.common.deadline import check_time
from vecsearch.common.lazy import lazy
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.index.kernels import numpy_bm25
from vecsearch.index.kernels.arguments import NO_MASK
from vecsearch.index.kernels.loader import TEXT_LOADER
from vecsearch.index.kernels.numpy_bm25 import WIDTH
from vecsearch.query.text.groups import Group, is_plain
from vecsearch.query.text.matching import Matcher
from vecsearch.query.text.statistics import (
    K1,
    Doubles,
    Known,
    Numbers,
    Statistics,
    joined_lists,
)
from vecsearch.query.text.syntax import LARGEST_BOOST, Clauses, is_without_signs, parse
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.text.analyzer import Analyzer
from vecsearch.types import counted

OVERFETCH = 4  # passages fetched for each document wanted; more if they do not suffice
FEW = 0.25  # share of rows up to which the others are left out before they are scored
LOOSE = 1 + 1e-12  # bounds are above what they bound, however sums are rounded
LARGE_K = 2000  # rows beyond which sorting all is faster than inserting each
MANY_LISTS = 256  # of a segment, in which looking up single rows takes longer than reading them all
PLAIN = Clauses()  # no conditions
ONE_AFTER_ANOTHER = np.arange(257)
MOST_TERMS = 10_000  # that are marked in texts


class Ranking(NamedTuple):
    """Rows, best first: positions int64, scores float64."""

    positions: Positions
    scores: Doubles


class ListsOf(NamedTuple):
    """The postings of a question, as the kernels take them.

    Attributes:
        lists: Of all groups and segments, as in `Lists.places`.
        weights: Of each list.
        groups: Where each group begins among the lists, and the number of lists.
    """

    lists: Numbers
    weights: Doubles
    groups: Numbers


class TextQuery:
    """A question in words, read for one snapshot. Thread-safe.

    Attributes:
        clauses: The conditions.
        groups: The words that count: given ones, or those of the conditions.
        weights: Of each column.
    """

    def __init__(
        self,
        statistics: Statistics,
        clauses: Clauses,
        weights: tuple[float, ...],
        groups: Sequence[Group] | None = None,
    ) -> None:
        self._statistics = statistics
        self.analyzer: Analyzer = statistics.analyzer
        self.clauses = clauses
        self.weights = weights
        self.groups = statistics.groups.scored(clauses) if groups is None else groups

    @lazy
    def known(self) -> list[tuple[Known, float, float]]:
        """What is known of each group, what it counts, and the most that it adds to a score.

        Those that can add most come first. Scores are summed in this order.
        """
        listed = []
        for group in self.groups:
            known, factor = self.known_of(group)
            listed.append((known, factor, factor * known.most))
        if len(listed) > 1:
            listed.sort(key=lambda each: -each[2])
        return listed

    @lazy
    def _arrays(self) -> tuple[Doubles, Doubles, ListsOf]:
        """The factors and bounds, and the lists."""
        known = self.known
        count = len(known)
        factors = [factor for _, factor, _ in known]
        bounds = [bound * LOOSE for _, _, bound in known]
        sizes = [len(each.joined.weights) for each, _, _ in known]
        groups = ONE_AFTER_ANOTHER[: count + 1]
        if sizes != [1] * count or count >= len(ONE_AFTER_ANOTHER):
            groups = np.array([0, *accumulate(sizes)], np.int64)
        alone = [
            each.alone for each, factor, _ in known if each.alone and factor == each.idf
        ]  # what is known of their rows is for this factor
        if 0 < len(alone) == count:  # most questions: few arrays are made
            places = np.frombuffer(b"".join([place for place, _ in alone]), np.int64)
            weights = [weight for _, each in alone for weight in each]
            numbers = np.array([*factors, *bounds, *weights])
            lists = ListsOf(places.reshape(-1, WIDTH), numbers[2 * count :], groups)
            return numbers[:count], numbers[count : 2 * count], lists
        joined = joined_lists([each.joined for each, _, _ in known])
        lists = ListsOf(joined.places, joined.weights, groups)
        return np.array(factors), np.array(bounds), lists

    @property
    def factors(self) -> Doubles:
        """What each group counts, in the order of `known`."""
        return self._arrays[0]

    @property
    def bounds(self) -> Doubles:
        """The most that each group adds to a score, in the order of `known`."""
        return self._arrays[1]

    @property
    def lists(self) -> ListsOf:
        """The lists, in the order of `known`."""
        return self._arrays[2]

    @property
    def columns(self) -> list[str]:
        """The columns that are searched."""
        pairs = zip(self._statistics.columns, self.weights, strict=True)
        return [name for name, weight in pairs if weight]

    def found(self) -> WordsFound:
        """What finds the words in texts."""
        return WordsFound(self)

    def known_of(self, group: Group) -> tuple[Known, float]:
        """What is known of a group, and what it counts."""
        known = self._statistics.known(group.bare, self.weights)
        return known, known.idf * group.factor

    def shown(self, group: Group) -> str:
        """A group as it is written in a question."""
        sign = {"prefix": "*", "near": f"~{group.edits}"}.get(group.kind, "")
        column = "" if group.field is None else f"{self._statistics.columns[group.field]}:"
        return f"{column}{group.text}{sign}"

    @property
    def described(self) -> str:
        """What is scored, in the words of a plan."""
        return f"BM25 of {counted(len(self.groups), 'word')}"

    @lazy
    def terms(self) -> frozenset[str]:
        """All terms that the words stand for in this collection."""
        found: set[str] = set()
        for group in self.groups:
            if group.kind == "term":
                found.add(group.text)
                continue
            if group.kind == "prefix":
                found.add(group.text)
            forms = self._statistics.forms(group)
            for part in self._statistics.parts:
                numbers = part.numbers(group, forms)[0].tolist()
                found.update(part.terms.text(number) for number in numbers[:MOST_TERMS])
        return frozenset(found)


class WeightedQuery(TextQuery):
    """Terms with weights: a row scores the sum over terms of both weights' product. Thread-safe."""

    def __init__(
        self, statistics: Statistics, terms: Mapping[str, float], weights: tuple[float, ...]
    ) -> None:
        self._statistics = statistics
        self.analyzer = statistics.analyzer
        self.clauses = Clauses()
        self.weights = weights
        self.groups = [Group("term", term, factor=weight) for term, weight in terms.items()]

    @lazy
    def known(self) -> list[tuple[Known, float, float]]:
        """The lists of each term, its weight, and the most that it adds to a score."""
        listed = []
        for group in self.groups:
            known, factor = self.known_of(group)
            listed.append((known, factor, factor * known.most))
        return listed

    def known_of(self, group: Group) -> tuple[Known, float]:
        """The lists of a term, and its weight."""
        return self._statistics.weighted(group.text, self.weights), group.factor

    def found(self) -> WordsFound:
        """What finds nothing in texts: terms of a model are not theirs."""
        return WordsFound(self, in_texts=False)

    @property
    def described(self) -> str:
        return f"weights of {counted(len(self.groups), 'term')}"


class WordsFound:
    """Finds the words of a question in texts, and says what they score. It can be pickled."""

    def __init__(self, query: TextQuery, *, in_texts: bool = True) -> None:
        self._query: TextQuery | None = query
        self._in_texts = in_texts
        self._analyzer, self._groups, self._weights = query.analyzer, query.groups, query.weights

    @lazy
    def columns(self) -> list[str]:
        """The columns in whose texts they are."""
        assert self._query is not None
        return self._query.columns if self._in_texts else []

    @lazy
    def terms(self) -> frozenset[str]:
        """The terms that the words stand for."""
        assert self._query is not None
        return self._query.terms

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where a text has one of the words: spans of characters, in order."""
        return self._analyzer.places(text, self.terms)

    def scores(self, snapshot: Snapshot, position: int, total: float) -> list[tuple[str, float]]:
        """What each word adds to the score of a hit, those that add most first.

        Args:
            snapshot: What was searched.
            position: The hit's row. Of a document of several passages, it may be another one than
                the one whose words score best.
            total: The hit's score by words.
        """
        searcher = TextSearcher(snapshot)
        query = self._query or searcher.of_groups(self._groups, self._weights)
        rows = np.array([position], np.int64)
        if snapshot.manifest.chunked and not np.isclose(
            searcher.scores_at(query, rows)[0], total, rtol=1e-6
        ):
            rows = snapshot.locate(snapshot.take([snapshot.manifest.id_column], rows).column(0))[1]
            rows = rows[[int(np.argmax(searcher.scores_at(query, rows)))]]
        found = []
        for group in query.groups:
            one = searcher.of_groups([group], query.weights)
            found.append((query.shown(group), float(searcher.scores_at(one, rows)[0])))
        return sorted((each for each in found if each[1] > 0), key=lambda each: -each[1])

    def __getstate__(self) -> dict[str, Any]:
        terms = self.terms if self.columns else frozenset()
        return self.__dict__ | {"_query": None, "columns": self.columns, "terms": terms}


class TextSearcher:
    """Searches one snapshot by words. Thread-safe."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.statistics = Statistics(snapshot)

    def read(self, text: Any, using: Any = None, *, syntax: bool) -> TextQuery:
        """Read a question.

        Args:
            text: The question.
            using: The columns to look in, some with a weight ("title^3"); None for all.
            syntax: Whether signs such as quotation marks mean something.

        Raises:
            QueryError: The question cannot be read.
            InvalidInputError: It is no text, or a column is not searched.
        """
        if self.statistics.weigher is not None:
            weights = self._weights(using)
            return WeightedQuery(self.statistics, self.statistics.weigher.query(text), weights)
        if not isinstance(text, str):
            raise InvalidInputError(
                f"the query is {shown(text)}; search by words takes a text",
                hint="give the words as text=, and the vector as vector=",
                command_hint="give words, or search by vectors: --mode vector",
            )
        if not text.strip():
            raise InvalidInputError("the query is an empty text")
        columns = self.statistics.columns
        weights = self._weights(using)
        if not syntax or is_without_signs(text):
            groups = self.statistics.groups.plain(text)
            return TextQuery(self.statistics, PLAIN, weights, groups)
        clauses, given = parse(text, columns)
        weights = tuple(
            weight * given.get(name, 1.0) for name, weight in zip(columns, weights, strict=True)
        )
        return TextQuery(self.statistics, clauses, weights)

    def of_groups(self, groups: Sequence[Group], weights: tuple[float, ...]) -> TextQuery:
        """A question that was read before."""
        if self.statistics.weigher is None:
            return TextQuery(self.statistics, Clauses(), weights, groups)
        terms = {group.text: group.factor for group in groups}
        return WeightedQuery(self.statistics, terms, weights)

    def _weights(self, using: Any) -> tuple[float, ...]:
        """The weight of each column; 0 for those that are left out."""
        columns = self.statistics.columns
        if using is None:
            return (1.0,) * len(columns)
        listed = [using] if isinstance(using, str) else using
        if not isinstance(listed, Sequence) or not all(isinstance(item, str) for item in listed):
            raise InvalidInputError(f"using is {shown(using)}; it must be a list of columns")
        weights: dict[str, float] = {}
        for item in listed:
            name, mark, number = (item, "", "") if item in columns else item.rpartition("^")
            name = name or item
            if name not in columns:
                raise InvalidInputError(
                    f"column {shown(name)} is not searched by words"
                    f"{did_you_mean(name, list(columns))}",
                    hint=f"those searched are {', '.join(columns)}",
                )
            try:
                weights[name] = float(number) if mark else 1.0
            except ValueError:
                weights[name] = 0.0
            if not 0 < weights[name] <= LARGEST_BOOST:
                raise InvalidInputError(
                    f"using has {shown(item)}; a weight is a number above 0 and at most "
                    f"{LARGEST_BOOST:g}, such as {name}^3"
                )
        if not weights:
            raise InvalidInputError("using is empty; it must be a list of columns")
        return tuple(weights.get(name, 0.0) for name in columns)

    def rows(self, query: TextQuery, k: int, selection: RowSelection, *, passages: bool) -> Ranking:
        """The k best rows: passages, in a collection with a chunker.

        Args:
            query: The question.
            k: How many.
            selection: The rows that may be found.
            passages: Whether conditions are about passages; else they are about documents.
        """
        if not query.groups or not selection.count or not len(query.lists.lists):
            return Ranking(np.empty(0, np.int64), np.empty(0))
        check_time()
        statistics, rows = self.statistics, self.snapshot.rows
        mask, early = NO_MASK, selection.count < FEW * rows
        if selection.mask is not None:
            mask = selection.mask
        if not is_plain(query.clauses):
            wanted = self._matching(query, passages=passages)
            if wanted is not None:
                mask = wanted & mask if len(mask) else wanted
        found = np.empty(min(k, rows), np.int64)
        scores = np.empty(len(found))
        kernels = TEXT_LOADER.kernels() if len(found) <= LARGE_K else None
        kernels = kernels or numpy_bm25
        buffers = statistics.borrowed()
        if statistics.weigher is not None:
            count = kernels.best_sums(
                *query.lists, query.factors, mask, buffers.scores, found, scores
            )
        else:
            count = kernels.best_rows(
                *query.lists,
                query.factors,
                query.bounds,
                statistics.norms,
                K1,
                mask,
                int(early and len(mask) > 0),
                *buffers,
                found,
                scores,
            )
        statistics.buffers.append(buffers)
        return Ranking(found[:count], scores[:count])

    def _matching(self, query: TextQuery, *, passages: bool) -> Mask | None:
        """The rows that meet the conditions of a question; None if they say nothing."""
        masks = []
        for number in range(len(self.statistics.parts)):
            check_time()
            matcher = Matcher(self.statistics, number, query.weights, passages=passages)
            mask = matcher.mask(query.clauses)
            if mask is None:
                return None
            masks.append(mask)
        return np.concatenate(masks)

    def documents(self, query: TextQuery, k: int, selection: RowSelection) -> Ranking:
        """The k best documents, each by its best passage."""
        k = min(k, selection.count or 1)
        width = min(k * OVERFETCH, selection.count)
        while True:
            ranking = self.rows(query, max(width, 1), selection, passages=False)
            first: dict[object, int] = {}
            for rank, document in enumerate(self.snapshot.ids_at(ranking.positions)):
                first.setdefault(document, rank)
            if len(first) >= k or width >= selection.count or len(ranking.positions) < width:
                chosen = np.array(list(first.values())[:k], np.int64)
                return Ranking(ranking.positions[chosen], ranking.scores[chosen])
            width = min(width * OVERFETCH, selection.count)

    def scores_at(self, query: TextQuery, positions: Positions) -> Doubles:
        """The scores of given rows, as `rows` gives them; 0 for rows without a word.

        Args:
            query: A question without conditions.
            positions: The rows.
        """
        scores = np.zeros(len(positions))
        if not query.groups:
            return scores
        if len(query.lists.lists) > MANY_LISTS * len(self.statistics.parts):
            return self._scores_by_search(query, positions)
        check_time()
        kernels = TEXT_LOADER.kernels() or numpy_bm25
        given = np.ascontiguousarray(positions, np.int64)
        if self.statistics.weigher is not None:
            kernels.sums_of(*query.lists, query.factors, given, scores)
        else:
            kernels.scores_of(*query.lists, query.factors, self.statistics.norms, K1, given, scores)
        return scores

    def _scores_by_search(self, query: TextQuery, positions: Positions) -> Doubles:
        """`scores_at` for words that stand for so many terms that reading all lists is faster."""
        mask = np.zeros(self.snapshot.rows, bool)
        mask[positions] = True
        found = self.rows(query, len(positions), RowSelection(mask, len(positions)), passages=True)
        order = np.argsort(positions)
        scores = np.zeros(len(positions))
        scores[order[np.searchsorted(positions, found.positions, sorter=order)]] = found.scores
        return scores

    def search(
        self, query: TextQuery, k: int, selection: RowSelection, *, passages: bool
    ) -> Ranking:
        """The k best documents; with `passages`, or without a chunker, the k best rows."""
        if passages or not self.snapshot.manifest.chunked:
            return self.rows(query, min(k, selection.count or 1), selection, passages=True)
        return self.documents(query, k, selection)
