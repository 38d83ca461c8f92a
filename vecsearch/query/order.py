"""Hits in the order of columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Positions
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.query.paths import Found
from vecsearch.storage.snapshot import Snapshot

Order: TypeAlias = "tuple[tuple[str, str], ...]"
DIRECTIONS = {"asc": "ascending", "desc": "descending"}


def parse_order(snapshot: Snapshot, order_by: Any) -> Order:
    """Columns and directions of "year", "year desc", ("year", "desc"), or a list of these.

    Raises InvalidInputError for a column that does not exist or has no order.
    """
    items = [order_by]
    if isinstance(order_by, list) or (isinstance(order_by, tuple) and not _is_pair(order_by)):
        items = list(order_by)
    if not items:
        raise InvalidInputError("order_by is empty; it must name a column")
    return tuple(_parsed(snapshot, item) for item in items)


def _is_pair(item: tuple[Any, ...]) -> bool:
    return len(item) == 2 and isinstance(item[1], str) and item[1].lower() in DIRECTIONS


def _parsed(snapshot: Snapshot, item: Any) -> tuple[str, str]:
    names = snapshot.manifest.schema.names
    column, direction = item, "asc"
    if isinstance(item, tuple) and _is_pair(item):
        column, direction = item
    elif isinstance(item, str) and item not in names:
        before, _, last = item.strip().rpartition(" ")
        if before and last.lower() in DIRECTIONS:
            column, direction = before.strip(), last
    if not isinstance(column, str):
        raise InvalidInputError(
            f"order_by is {shown(item)}; it must be a column, such as 'year' or 'year desc'"
        )
    snapshot.check_columns([column])
    kind = snapshot.manifest.schema.field(column).type
    if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
        raise InvalidInputError(
            f"order_by: column {column!r} is {kind}, whose values have no order"
        )
    return column, DIRECTIONS[direction.lower()]


def ordered(found: Found, order: Order, snapshot: Snapshot) -> Positions:
    """Which hits come first: by the columns, then by score, then by row; missing values last."""
    names = list(dict.fromkeys(name for name, _ in order))
    table = sort_table(snapshot, names, found)
    return np.asarray(sorted_indices(table, order), np.int64)


def sort_table(snapshot: Snapshot, names: Sequence[str], found: Found) -> pa.Table:
    """What hits are sorted by: columns, and score and position under names that no column has."""
    batch = snapshot.take(names, found.positions)
    columns = {f"c{names.index(name)}": batch.column(name) for name in names}
    columns |= {"score": pa.array(found.scores), "row": pa.array(found.positions)}
    return pa.table(columns)


def sorted_indices(table: pa.Table, order: Order) -> pa.Array:
    names = list(dict.fromkeys(name for name, _ in order))
    keys = [(f"c{names.index(name)}", direction) for name, direction in order]
    keys += [("score", "descending"), ("row", "ascending")]
    return pc.sort_indices(table, sort_keys=keys)
