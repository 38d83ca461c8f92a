"""Facets: how many documents have each value of a column, and histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arguments import check_names
from vecsearch.common.arrays import Positions
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.query.group_keys import countable
from vecsearch.query.ranking import first_rows
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import RESERVED, VECTOR

PERIODS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
MOST_BINS = 100_000


def document_rows(snapshot: Snapshot, rows: Positions) -> Positions:
    """One row of each document among some rows."""
    if not snapshot.manifest.chunked:
        return rows
    return rows[first_rows(snapshot.ids_at(rows))]


def facets(
    snapshot: Snapshot, rows: Positions, columns: Sequence[str], bins: Any
) -> dict[str, pa.Table]:
    """The values of columns with their counts, most frequent first; then by value.

    Args:
        snapshot: What is read.
        rows: The rows that are counted.
        columns: The columns. Of a column of lists, each value of a list counts once.
        bins: Column -> number of bins, edges, or a period such as "month"; or one for all columns.

    Raises:
        InvalidInputError: A column does not exist or cannot be counted so.
    """
    names = [columns] if isinstance(columns, str) else check_names("columns", columns)
    snapshot.check_columns(names)
    if isinstance(bins, Mapping):
        for name in bins:
            if name not in names:
                raise InvalidInputError(
                    f"bins: {shown(name)} is not among the columns {', '.join(names)}"
                )
    found = {}
    for name in names:
        wanted = bins.get(name) if isinstance(bins, Mapping) else bins
        kind = snapshot.manifest.schema.field(name).type
        _check_kind(snapshot, name, kind)
        values = snapshot.take([name], rows).column(0)
        found[name] = _counts(values) if wanted is None else _histogram(name, values, wanted)
    return found


def _check_kind(snapshot: Snapshot, name: str, kind: pa.DataType) -> None:
    item = kind.value_type if _is_list(kind) else kind
    if name in (VECTOR, *RESERVED) or pa.types.is_nested(item):
        raise InvalidInputError(f"column {name!r} is {kind}, whose values cannot be counted")
    if isinstance(item, pa.BaseExtensionType):
        raise InvalidInputError(
            f"column {name!r} holds JSON, whose values cannot be counted",
            hint="add_column() can give one of its keys a column",
            command_hint="`vecsearch add-column` can give one of its keys a column",
        )
    if snapshot.manifest.chunked and name in snapshot.manifest.text_columns:
        raise InvalidInputError(
            f"column {name!r} holds texts that are split into passages, so they cannot be counted"
        )


def _is_list(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    )


def _counts(values: pa.Array) -> pa.Table:
    """Distinct values with their counts."""
    if _is_list(values.type):
        owners, items = pc.list_parent_indices(values), pc.list_flatten(values)
        once = pa.table({"owner": owners, "value": items}).group_by(["owner", "value"])
        values = once.aggregate([]).column("value").combine_chunks()
    if pa.types.is_floating(values.type):  # 0.0 and -0.0 are one value
        zero = pa.scalar(0.0, values.type)
        values = pc.if_else(pc.fill_null(pc.equal(values, zero), False), zero, values)
    table = pa.table({"value": values})
    counted = table.group_by("value").aggregate([([], "count_all")])
    counted = counted.select(["value", "count_all"]).rename_columns(["value", "count"])
    keys = [("count", "descending"), ("value", "ascending")]
    if pa.types.is_boolean(values.type):
        order = pa.table({"count": counted["count"], "value": counted["value"].cast(pa.int8())})
    else:
        order = counted
    return counted.take(pc.sort_indices(order, sort_keys=keys))


def _histogram(name: str, values: pa.Array, bins: Any) -> pa.Table:
    kind = values.type
    if isinstance(bins, str):
        if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            raise InvalidInputError(
                f"bins: {shown(bins)} is a period, and column {name!r} is {kind}, no date"
            )
        if bins not in PERIODS:
            raise InvalidInputError(
                f"bins is {shown(bins)}; a period is one of {', '.join(PERIODS)}"
            )
        return _by_period(values, bins)
    if pa.types.is_decimal(kind):
        values = values.cast(pa.float64())
    elif pa.types.is_temporal(kind):
        return _of_times(name, values, bins)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise InvalidInputError(f"bins: column {name!r} is {kind}, which has no histogram")
    numbers = pc.drop_null(values).to_numpy(zero_copy_only=False).astype(np.float64)
    edges = _edges(name, numbers, bins)
    is_nan = np.isnan(numbers)
    counts = _in_bins(numbers[~is_nan], edges)
    rows = [(float(low), float(high), count) for low, high, count in _lines(edges, counts)]
    if is_nan.any():
        rows.append((np.nan, np.nan, int(is_nan.sum())))
    return _binned(rows, values.null_count, pa.float64())


def _of_times(name: str, values: pa.Array, bins: Any) -> pa.Table:
    """Bins of equal length, or with edges that are dates."""
    if not isinstance(bins, Integral) and isinstance(bins, Sequence | np.ndarray):
        try:
            bins = countable(pa.array(list(bins)).cast(values.type)).to_pylist()
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise InvalidInputError(
                f"bins: the edges of column {name!r} must be {values.type}: {error}"
            ) from error
    whole = countable(values)
    numbers = pc.drop_null(whole).to_numpy(zero_copy_only=False).astype(np.int64)
    edges = np.unique(np.round(_edges(name, numbers.astype(np.float64), bins)).astype(np.int64))
    counts = _in_bins(numbers, edges)
    kind = whole.type
    table = _binned(_lines(edges, counts), values.null_count, kind)
    for at in (0, 1):
        column = table.column(at).combine_chunks().view(values.type)
        table = table.set_column(at, table.schema.names[at], column)
    return table


def _edges(name: str, numbers: npt.NDArray[Any], bins: Any) -> npt.NDArray[np.float64]:
    if isinstance(bins, Integral) and not isinstance(bins, bool):
        if not 1 <= int(bins) <= MOST_BINS:
            raise InvalidInputError(
                f"bins is {shown(bins)}; a number of bins is from 1 to {MOST_BINS:,}"
            )
        finite = numbers[np.isfinite(numbers)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        if low == high:
            low, high = low - 0.5, high + 0.5
        return np.linspace(low, high, int(bins) + 1)
    try:
        edges = np.asarray(bins, np.float64)
    except (TypeError, ValueError):
        edges = np.empty(0)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise InvalidInputError(
            f"bins is {shown(bins)} for column {name!r}; it must be a number of bins, ascending "
            "edges, or a period of dates such as 'month'"
        )
    return edges


def _in_bins(numbers: npt.NDArray[Any], edges: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """How many numbers are in each bin; the last bin has both its edges."""
    if not len(numbers):
        return np.zeros(len(edges) - 1, np.int64)
    places = np.searchsorted(edges, numbers, "right") - 1
    places[numbers == edges[-1]] = len(edges) - 2
    inside = (places >= 0) & (places < len(edges) - 1)
    return np.bincount(places[inside], minlength=len(edges) - 1)


def _lines(edges: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> list[tuple[Any, Any, int]]:
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True))


def _by_period(values: pa.Array, period: str) -> pa.Table:
    """Calendar periods from the first to the last that has a value."""
    floors = pc.floor_temporal(values, unit=period)
    counted = _counts(floors)
    counted = counted.take(pc.sort_indices(counted, sort_keys=[("value", "ascending")]))
    ends = pc.ceil_temporal(counted["value"], unit=period, ceil_is_strictly_greater=True)
    return counted.add_column(1, "end", ends)


def _binned(rows: list[tuple[Any, Any, int]], missing: int, kind: pa.DataType) -> pa.Table:
    """A histogram; values that are missing come last."""
    if missing:
        rows = [*rows, (None, None, missing)]
    lows, highs, counts = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "value": pa.array(lows, kind),
            "end": pa.array(highs, kind),
            "count": pa.array(counts, pa.int64()),
        }
    )
