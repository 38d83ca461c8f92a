"""What is made of a ranking: a lowest score, diverse hits, groups, another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from vecsearch.common.arguments import check_k, check_min_score, check_whole, check_within
from vecsearch.common.arrays import Positions
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.diversity import diverse, pool_for
from vecsearch.query.groups import check_group_column, grouped
from vecsearch.query.order import Order, ordered, parse_order
from vecsearch.query.paths import Found
from vecsearch.query.ranking import Ranking, at_least, chosen_of
from vecsearch.storage.ids import as_ids
from vecsearch.storage.snapshot import Snapshot

OrderBy = str | tuple[str, Literal["asc", "desc"]] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """What is wanted of a ranking. All fields are checked.

    Attributes:
        k: How many hits; with groups how many groups.
        min_score: The lowest score of a hit.
        diversity: How much hits shall differ from each other, 0 to 1.
        group_by: A column; at most `group_size` hits have the same value in it.
        group_size: How many hits a group has at most.
        order: What the hits are sorted by; empty: by score.
        scores: Whether scores are those of the collection's metric.
    """

    k: int
    min_score: float | None = None
    diversity: float = 0.0
    group_by: str | None = None
    group_size: int = 1
    order: Order = ()
    scores: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether the first k of a ranking are wanted, as they are."""
        if self.min_score is not None or self.group_by is not None:
            return False
        return not self.diversity and not self.order

    @property
    def width(self) -> int:
        """How many hits are looked at first."""
        if self.diversity:
            return pool_for(self.k)
        return self.k if self.group_by is None else self.k * self.group_size


def check_shape(
    snapshot: Snapshot,
    k: int,
    *,
    min_score: float | None = None,
    diversity: float = 0.0,
    group_by: str | None = None,
    group_size: int = 1,
    order_by: OrderBy | None = None,
    scores: bool = True,
) -> Shape:
    """What a caller wants of a ranking.

    Args:
        snapshot: What is searched.
        k: As the caller gave it, like the other arguments.
        min_score: As in `Shape`.
        diversity: As in `Shape`.
        group_by: As in `Shape`.
        group_size: As in `Shape`.
        order_by: Columns to sort by.
        scores: Whether scores are those of the collection's metric.

    Raises:
        InvalidInputError: An argument is wrong, or two do not go together.
    """
    k = check_k(k)
    is_default = type(diversity) is float and type(group_size) is int
    is_default = is_default and diversity == 0.0 and group_size == 1
    if is_default and min_score is None and group_by is None and order_by is None:
        return _plain(k)  # most searches
    if min_score is not None:
        metric = snapshot.manifest.metric
        min_score = check_min_score(min_score, metric) if scores else _any_score(min_score)
    diversity = check_within("diversity", diversity, 0.0, 1.0)
    group_size = check_whole("group_size", group_size, 1)
    if group_by is not None:
        check_group_column(snapshot, group_by)
        if diversity:
            raise InvalidInputError(
                "diversity and group_by both spread the hits, and only one of them can decide",
                hint="give diversity= or group_by=",
                command_hint="give --diversity or --group-by",
            )
    elif group_size != 1:
        raise InvalidInputError(
            f"group_size is {shown(group_size)}, but there is no group_by",
            hint="name the column of the groups: group_by=",
            command_hint="name the column of the groups: --group-by",
        )
    order = () if order_by is None else parse_order(snapshot, order_by)
    return Shape(k, min_score, diversity, group_by, group_size, order, scores)


@lru_cache(maxsize=64)
def _plain(k: int) -> Shape:
    return Shape(k)


def _any_score(score: Any) -> float:
    return check_within("min_score", score, -np.inf, np.inf)


def shaped(ranking: Ranking, shape: Shape, scorer: VectorScorer) -> Found:
    """The hits that a shape makes of a ranking."""
    if shape.is_plain:
        return ranking.fetch(shape.k)
    snapshot = scorer.snapshot
    if shape.group_by is not None:
        found = grouped(
            ranking, shape.k, shape.group_by, shape.group_size, snapshot, shape.min_score
        )
    elif shape.diversity:
        pool = at_least(ranking.fetch(pool_for(shape.k)), shape.min_score)
        chosen = diverse(pool, shape.k, shape.diversity, scorer, scaled=not shape.scores)
        found = chosen_of(pool, chosen)
    else:
        found = at_least(ranking.fetch(shape.k), shape.min_score)
    if shape.order:
        found = chosen_of(found, ordered(found, shape.order, snapshot))
    return found


def excluded_rows(snapshot: Snapshot, exclude: Any, seen: Sequence[Any] = ()) -> Positions | None:
    """Positions of the rows of documents that are left out, if there are any.

    Ids that no document has are passed over. Raises InvalidInputError for ids of another type.
    """
    if exclude is None and not seen:
        return None
    kind = snapshot.manifest.id_type
    parts = [snapshot.locate(as_ids(ids, kind))[1] for ids in (exclude, seen) if ids is not None]
    rows: Positions = np.unique(np.concatenate([np.empty(0, np.int64), *parts]))
    return rows if len(rows) else None
