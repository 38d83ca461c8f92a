"""The nearest documents of each of many documents. Two documents score as their best passages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.analysis.tables import Duplicates, Joined, Neighbors
from vecsearch.analysis.units import Units, take_ids
from vecsearch.common.arrays import Positions, Scores, Vectors
from vecsearch.common.deadline import check_time
from vecsearch.errors import InvalidInputError
from vecsearch.query.searcher import OVERFETCH, Searcher
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.selection import RowSelection

BLOCK = 2048  # queries that are searched for together
SAMPLE = 200  # documents that recall is measured on
SEED = 0


class Edges(NamedTuple):
    """Pairs of units, by the left one, then best first."""

    left: Positions
    right: Positions
    scores: Scores
    ranks: npt.NDArray[np.int32]


class NearestUnits:
    """Finds units near to query rows.

    Args:
        searcher: What is searched.
        units: What is found.
        selection: The rows of these units.
        recall: The target in 0..1.
        exact: Whether every row is scored.
    """

    def __init__(
        self, searcher: Searcher, units: Units, selection: RowSelection, recall: float, exact: bool
    ) -> None:
        self._searcher = searcher
        self._units = units
        self._selection = selection
        self._recall = recall
        self._exact = exact
        self.methods: set[str] = set()

    def nearest(
        self, queries: Vectors, k: int, own: Positions | None
    ) -> Iterator[tuple[int, Positions, Scores]]:
        """Numbers of the queries with the k nearest units of each, and their scores.

        Args:
            queries: float32 (nq, dim), as stored.
            k: How many units to find for each.
            own: The unit of each query, which is left out; None leaves out none.
        """
        yield from self._deeper(queries, own, lambda units, scores: len(units) >= k, k)

    def within(
        self, queries: Vectors, least: float, own: Positions
    ) -> Iterator[tuple[int, Positions, Scores]]:
        """As `nearest`, all units that score at least `least`."""

        def enough(units: Positions, scores: Scores) -> bool:
            return len(scores) > 0 and float(scores[-1]) < least

        for number, units, scores in self._deeper(queries, own, enough, 8):
            good = scores.astype(np.float64) >= least
            yield number, units[good], scores[good]

    def _deeper(
        self, queries: Vectors, own: Positions | None, enough: object, k: int
    ) -> Iterator[tuple[int, Positions, Scores]]:
        assert callable(enough)
        total = self._selection.count
        per_unit = -(-total // max(len(self._units), 1))
        waiting, width = np.arange(len(queries)), (k + 1) * per_unit
        while len(waiting) and total:
            check_time()
            width = min(width, total)
            found = self._searcher.batch(
                queries[waiting],
                width,
                [self._selection] * len(waiting),
                self._recall,
                self._exact,
            )
            left = []
            for number, answer in zip(waiting.tolist(), found, strict=True):
                units = self._units.owner_of[answer.positions]
                first = np.sort(np.unique(units, return_index=True)[1])
                if own is not None:
                    first = first[units[first] != own[number]]
                units, scores = units[first], answer.scores[first]
                if width < total and not enough(units, scores):
                    left.append(number)
                    continue
                self.methods.add(answer.plan.method)
                yield number, units, scores
            waiting, width = np.array(left, np.int64), width * OVERFETCH


def edges_of(parts: Iterator[tuple[Positions, Positions, Scores]], most: int | None) -> Edges:
    """Pairs of units from pairs of rows: each by its best score, at most `most` for a left one."""
    lists = [part for part in parts if len(part[0])]
    if not lists:
        empty = np.empty(0, np.int64)
        return Edges(empty, empty, np.empty(0, np.float32), np.empty(0, np.int32))
    left, right, scores = (np.concatenate(each) for each in zip(*lists, strict=True))
    order = np.lexsort((right, -scores, left))
    left, right, scores = left[order], right[order], scores[order]
    pairs = left * (int(right.max()) + 1) + right
    first = np.sort(np.unique(pairs, return_index=True)[1])
    left, right, scores = left[first], right[first], scores[first]
    starts = np.searchsorted(left, left, "left")
    ranks = (np.arange(len(left)) - starts + 1).astype(np.int32)
    if most is None:
        return Edges(left, right, scores, ranks)
    kept = ranks <= most
    return Edges(left[kept], right[kept], scores[kept], ranks[kept])


def neighbor_edges(
    searcher: Searcher, selection: RowSelection, units: Units, k: int, recall: float, exact: bool
) -> tuple[Edges, set[str]]:
    """The k nearest other units of each unit, and the methods that found them."""
    search = NearestUnits(searcher, units, selection, recall, exact)

    def parts() -> Iterator[tuple[Positions, Positions, Scores]]:
        for part in units.blocks(BLOCK):
            own = units.owners[part]
            queries = units.queries(units.rows[part])
            for number, found, scores in search.nearest(queries, k, own):
                first = slice(0, k)
                yield np.full(len(found[first]), own[number]), found[first], scores[first]

    return edges_of(parts(), k), search.methods


def neighbors(
    searcher: Searcher, selection: RowSelection, units: Units, k: int, recall: float, exact: bool
) -> Neighbors:
    """The edge table of `Collection.neighbors`."""
    edges, methods = neighbor_edges(searcher, selection, units, k, recall, exact)
    measured, found = 0, 1.0
    if methods - {"exact", "empty"}:
        chosen = _sample(len(units))
        measured = len(chosen)
        found = _measured(searcher, selection, units, edges, chosen, k=k)
    table = pa.table(
        {
            "id": take_ids(units.ids, edges.left),
            "neighbor": take_ids(units.ids, edges.right),
            "rank": edges.ranks,
            "score": edges.scores,
        }
    )
    how = " and ".join(sorted(methods)) or "empty"
    return Neighbors(table, k, len(units), found, measured, how)


def duplicates(
    searcher: Searcher,
    selection: RowSelection,
    units: Units,
    threshold: float,
    recall: float,
    exact: bool,
) -> Duplicates:
    """The pairs of `Collection.duplicates`."""
    search = NearestUnits(searcher, units, selection, recall, exact)

    def parts() -> Iterator[tuple[Positions, Positions, Scores]]:
        for part in units.blocks(BLOCK):
            own = units.owners[part]
            queries = units.queries(units.rows[part])
            for number, found, scores in search.within(queries, threshold, own):
                mine = np.full(len(found), own[number])
                yield np.minimum(mine, found), np.maximum(mine, found), scores

    edges = edges_of(parts(), None)
    measured, share = 0, 1.0
    if search.methods - {"exact", "empty"}:
        chosen = _sample(len(units))
        measured = len(chosen)
        both = Edges(
            np.concatenate([edges.left, edges.right]),
            np.concatenate([edges.right, edges.left]),
            np.concatenate([edges.scores, edges.scores]),
            np.concatenate([edges.ranks, edges.ranks]),
        )
        share = _measured(searcher, selection, units, both, chosen, least=threshold)
    order = np.lexsort((edges.right, edges.left, -edges.scores))
    table = pa.table(
        {
            "id": take_ids(units.ids, edges.left[order]),
            "duplicate": take_ids(units.ids, edges.right[order]),
            "score": edges.scores[order],
        }
    )
    groups = _groups(edges.left, edges.right, len(units))
    return Duplicates(table, threshold, len(units), groups, share, measured)


def join(
    left: Units,
    searcher: Searcher,
    selection: RowSelection,
    units: Units,
    k: int,
    min_score: float | None,
    recall: float,
    exact: bool,
) -> Joined:
    """The table of `Collection.join`: for units on the left, the nearest of `units`."""
    search = NearestUnits(searcher, units, selection, recall, exact)

    def parts() -> Iterator[tuple[Positions, Positions, Scores]]:
        for part in left.blocks(BLOCK):
            queries = left.queries(left.rows[part])
            for number, found, scores in search.nearest(queries, k, None):
                mine = np.full(len(found), left.owners[part][number])
                yield mine[:k], found[:k], scores[:k]

    edges = edges_of(parts(), k)
    if min_score is not None:
        good = edges.scores.astype(np.float64) >= min_score
        edges = Edges(edges.left[good], edges.right[good], edges.scores[good], edges.ranks[good])
    table = pa.table(
        {
            "id": take_ids(left.ids, edges.left),
            "other": take_ids(units.ids, edges.right),
            "rank": edges.ranks,
            "score": edges.scores,
        }
    )
    return Joined(table, len(left), len(units), len(np.unique(edges.left)))


def check_joinable(left: Manifest, right: Manifest) -> None:
    """Raises InvalidInputError unless vectors of two collections can be compared."""
    models = [
        None if each.embedder is None else each.embedder.fingerprint for each in (left, right)
    ]
    for what, one, two in (
        ("dimension", left.dim, right.dim),
        ("metric", str(left.metric), str(right.metric)),
        ("model", *models),
    ):
        if one != two:
            raise InvalidInputError(
                f"join compares vectors, and the {what} of this collection is {one}, of the other "
                f"{two}"
            )


def _sample(count: int) -> Positions:
    """Numbers of units to measure with, ascending."""
    chosen = np.random.default_rng(SEED).choice(count, min(SAMPLE, count), replace=False)
    return np.sort(chosen)


def _measured(
    searcher: Searcher,
    selection: RowSelection,
    units: Units,
    edges: Edges,
    chosen: Positions,
    *,
    k: int | None = None,
    least: float | None = None,
) -> float:
    """The share of the true pairs of some units that is among the edges."""
    truth = NearestUnits(searcher, units, selection, 1.0, True)
    mask = np.isin(units.owners, chosen)
    rows, own = units.rows[mask], units.owners[mask]
    queries = units.queries(rows)
    best: dict[int, dict[int, float]] = {int(unit): {} for unit in chosen}
    answers = truth.nearest(queries, k, own) if k else truth.within(queries, least or 0.0, own)
    for number, found, scores in answers:
        known = best[int(own[number])]
        for unit, score in zip(found[:k].tolist(), scores[:k].tolist(), strict=True):
            known[unit] = max(score, known.get(unit, -np.inf))
    hits = wanted = 0
    for unit, known in best.items():
        true_scores = sorted(known.values(), reverse=True)[:k]
        mine = edges.scores[edges.left == unit]
        wanted += len(true_scores)
        if true_scores:  # ties at the last score count
            hits += min(int((mine >= np.float32(true_scores[-1])).sum()), len(true_scores))
    return hits / wanted if wanted else 1.0


def _groups(left: Positions, right: Positions, count: int) -> int:
    """Connected components of more than one unit."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(left):
        return 0
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    return int((np.bincount(labels) > 1).sum())
