"""All matches of a query in pages, from one version, none of them twice and none left out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vecsearch.common.arguments import check_whole
from vecsearch.common.deadline import check_time
from vecsearch.errors import InvalidInputError
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.group_keys import group_keys
from vecsearch.query.groups import grouped
from vecsearch.query.order import ordered
from vecsearch.query.paths import Found
from vecsearch.query.ranking import Ranking, at_least, chosen_of
from vecsearch.query.results import Hits
from vecsearch.query.searcher import OVERFETCH
from vecsearch.query.shape import Shape


def check_pages(size: int, shape: Shape) -> int:
    """The number of hits of a page.

    Raises InvalidInputError if a shape cannot be given in pages.
    """
    if shape.diversity:
        raise InvalidInputError(
            "diversity chooses among the best hits, and pages give all of them",
            hint="leave diversity= out, or search() for as many hits as you need",
            command_hint="leave --diversity out, or --page",
        )
    if shape.order and shape.min_score is None:
        raise InvalidInputError(
            "pages in the order of a column hold all matches, and every document matches a vector",
            hint="give min_score= to say what matches",
            command_hint="give --min-score to say what matches",
        )
    if shape.order and shape.group_by is not None:
        raise InvalidInputError(
            "pages of groups come best group first, so they have no other order",
            hint="give order_by= or group_by=",
            command_hint="give --order-by or --group-by",
        )
    return check_whole("size", size, 1)


def pages(ranking: Ranking, size: int, shape: Shape, scorer: VectorScorer) -> Iterator[Hits]:
    """Pages of `size` hits, or of `size` groups, best first; the last one may have fewer."""
    snapshot = scorer.snapshot
    if shape.group_by is not None:
        parts = _groups(ranking, size, shape, scorer)
    elif shape.order:
        assert shape.min_score is not None
        matches = ranking.matches(shape.min_score)
        parts = _slices(chosen_of(matches, ordered(matches, shape.order, snapshot)), size)
    else:
        parts = _best_first(ranking, size, shape.min_score)
    before = 0
    for part in parts:
        yield Hits(
            snapshot,
            part.positions,
            part.scores,
            part.plan,
            group_by=shape.group_by,
            before=before,
        )
        before += len(part.positions)


def _slices(found: Found, size: int) -> Iterator[Found]:
    for first in range(0, len(found.positions), size):
        yield chosen_of(found, np.arange(first, min(first + size, len(found.positions))))


def _best_first(ranking: Ranking, size: int, min_score: float | None) -> Iterator[Found]:
    """Pages of a ranking, which is fetched deeper as they are wanted.

    A deeper search may find a row that an earlier one missed: it comes with the next page.
    """
    given = np.empty(0, np.int64)
    width = size
    while True:
        check_time()
        found = ranking.fetch(width)
        good = at_least(found, min_score)
        new = chosen_of(good, ~np.isin(good.positions, given))
        done = len(found.positions) < width or len(good.positions) < len(found.positions)
        done = done or width >= ranking.total
        while len(new.positions) >= size or (done and len(new.positions)):
            page = chosen_of(new, np.arange(min(size, len(new.positions))))
            given = np.concatenate([given, page.positions])
            yield page
            new = chosen_of(new, np.arange(len(page.positions), len(new.positions)))
        if done:
            return
        width = max(width + size, min(width * OVERFETCH, width + 1000))


def _groups(ranking: Ranking, size: int, shape: Shape, scorer: VectorScorer) -> Iterator[Found]:
    """Pages of groups."""
    assert shape.group_by is not None
    snapshot, given = scorer.snapshot, set[object]()
    wanted = size
    while True:
        check_time()
        found = grouped(
            ranking, wanted, shape.group_by, shape.group_size, snapshot, shape.min_score
        )
        keys = group_keys(snapshot.take([shape.group_by], found.positions).column(0))
        groups = list(dict.fromkeys(keys))
        new = [key for key in groups if key not in given]
        done = len(groups) < wanted
        for first in range(0, len(new), size):
            page = set(new[first : first + size])
            if len(page) < size and not done:
                break
            given |= page
            yield chosen_of(found, np.array([at for at, key in enumerate(keys) if key in page]))
        if done:
            return
        wanted *= 2
