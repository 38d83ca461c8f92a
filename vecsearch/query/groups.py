"""Hits in groups: the k best groups, each with its best hits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Positions
from vecsearch.common.deadline import check_time
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.query.group_keys import NOT_A_NUMBER, countable, group_keys
from vecsearch.query.paths import Found
from vecsearch.query.ranking import Ranking, at_least, chosen_of
from vecsearch.query.searcher import OVERFETCH
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import RESERVED, VECTOR


def check_group_column(snapshot: Snapshot, name: Any, argument: str = "group_by") -> None:
    """Raises InvalidInputError unless a column has single values that can be equal."""
    if not isinstance(name, str):
        raise InvalidInputError(f"{argument} is {shown(name)}; it must be the name of a column")
    snapshot.check_columns([name])
    kind = snapshot.manifest.schema.field(name).type
    if name in (VECTOR, *RESERVED) or pa.types.is_nested(kind):
        raise InvalidInputError(
            f"{argument}: column {name!r} is {kind}; groups need a column of single values"
        )
    if isinstance(kind, pa.BaseExtensionType):
        raise InvalidInputError(
            f"{argument}: column {name!r} holds JSON; groups need a column of single values",
            hint="add_column() can give one of its keys a column",
            command_hint="`vecsearch add-column` can give one of its keys a column",
        )
    if snapshot.manifest.chunked and name in snapshot.manifest.text_columns:
        raise InvalidInputError(
            f"{argument}: column {name!r} holds texts that are split into passages, so it has no "
            "single values"
        )


def grouped(
    ranking: Ranking,
    k: int,
    column: str,
    size: int,
    snapshot: Snapshot,
    min_score: float | None = None,
) -> Found:
    """At most `size` hits of each of the k groups that have the best hits.

    It looks deeper until there are k groups, and then among the rows of those that are not full.
    No hit scores less than `min_score`.
    """
    found, keys = _first_groups(ranking, k * size, k, column, snapshot, min_score)
    groups = list(dict.fromkeys(keys))[:k]
    chosen = _best_of_each(keys, groups, size)
    counts = dict.fromkeys(groups, 0)
    for at in chosen.tolist():
        counts[keys[at]] += 1
    missing = [group for group in groups if counts[group] < size]
    taken = chosen_of(found, chosen)
    if not missing or len(found.positions) >= ranking.total:
        return taken
    full = np.array([counts[keys[at]] >= size for at in chosen.tolist()], bool)
    rest = _filled(ranking, column, missing, size, snapshot)
    joined = Found(
        np.concatenate([taken.positions[full], rest.positions]),
        np.concatenate([taken.scores[full], rest.scores]),
        found.plan,
    )
    best_first = chosen_of(joined, np.lexsort((joined.positions, -joined.scores)))
    return at_least(best_first, min_score)


def _first_groups(
    ranking: Ranking,
    width: int,
    k: int,
    column: str,
    snapshot: Snapshot,
    min_score: float | None,
) -> tuple[Found, list[Any]]:
    """Hits, as many as it takes to see k groups, and the group of each."""
    while True:
        check_time()
        found = ranking.fetch(width)
        good = at_least(found, min_score)
        keys = group_keys(snapshot.take([column], good.positions).column(0))
        exhausted = len(good.positions) < width or width >= ranking.total
        if exhausted or len(set(keys)) >= k:
            return good, keys
        width *= OVERFETCH


def _best_of_each(keys: Sequence[Any], groups: Sequence[Any], size: int) -> Positions:
    """Places of the first `size` hits of each group, in their order."""
    room = dict.fromkeys(groups, size)
    chosen = []
    for at, key in enumerate(keys):
        if room.get(key, 0):
            room[key] -= 1
            chosen.append(at)
    return np.array(chosen, np.int64)


def _filled(
    ranking: Ranking, column: str, groups: Sequence[Any], size: int, snapshot: Snapshot
) -> Found:
    """The best `size` hits of some groups, found among their rows only."""
    rows = rows_of_groups(snapshot, column, groups)
    among = ranking.among(rows)
    width = len(groups) * size * OVERFETCH
    while True:
        check_time()
        found = among.fetch(width)
        keys = group_keys(snapshot.take([column], found.positions).column(0))
        chosen = _best_of_each(keys, groups, size)
        exhausted = len(found.positions) < width or width >= among.total
        if exhausted or len(chosen) == len(groups) * size:
            return chosen_of(found, chosen)
        width *= OVERFETCH


def rows_of_groups(snapshot: Snapshot, column: str, groups: Sequence[Any]) -> Positions:
    """All live rows of some groups."""
    rows = snapshot.live.rows
    values = countable(snapshot.take([column], rows).column(0))
    wanted = [key for key in groups if key is not None and key is not NOT_A_NUMBER]
    if pa.types.is_floating(values.type) and 0.0 in wanted:
        wanted += [0.0, -0.0]  # equal, but not to Arrow
    mask = pc.is_in(values, value_set=pa.array(wanted, values.type))
    if None in groups:
        mask = pc.or_(mask, pc.is_null(values))
    if any(key is NOT_A_NUMBER for key in groups):
        mask = pc.or_(mask, pc.fill_null(pc.is_nan(values), False))
    found: Positions = rows[mask.to_numpy(zero_copy_only=False)]
    return found
