"""Fit an embedder for table rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.common.pca import principal_axes
from vecsearch.embedders.tabular import Column, TableEmbedder, _number, _row
from vecsearch.errors import InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa


def fit_table(
    table: pa.Table,
    *,
    columns: Sequence[str] | None = None,
    dim: int | None = None,
    most_categories: int = 200,
) -> TableEmbedder:
    """Fit scaling, categories and axes on a table.

    columns: those that count; None takes all but ids (a string column whose values are all different). dim: dimensions to
    keep; None keeps what holds 95 % of the variance, 256 at most. most_categories: the most frequent values that get a place.
    Raises InvalidInputError for a missing column, one that cannot be used, or nothing that varies.
    """
    chosen = (
        list(columns)
        if columns is not None
        else [name for name in table.column_names if not _is_id(table[name])]
    )
    fitted = [_fit(table, name, most_categories) for name in chosen]
    fitted = [column for column in fitted if column.width and column.deviation > 0]
    if not fitted or table.num_rows < 2:
        raise InvalidInputError(
            f"nothing to fit on: no column of {', '.join(chosen) or 'the table'} varies"
        )
    if dim is not None and not 1 <= dim <= sum(column.width for column in fitted):
        raise InvalidInputError(
            f"dim is {dim}; these columns have {sum(column.width for column in fitted)} dimensions"
        )
    rows = table.select([column.name for column in fitted]).to_pylist()
    width = sum(column.width for column in fitted)
    blank = TableEmbedder(fitted, np.full(width, np.nan), np.eye(width, dtype=np.float32))
    spread = np.array([_row(blank.columns, row, number) for number, row in enumerate(rows)])
    centre = np.nanmean(spread, axis=0)
    centred = np.where(np.isnan(spread), 0.0, spread - centre)
    _, squares, axes = principal_axes(centred, centred=False)
    if dim is None:
        dim = min(256, int(np.searchsorted(np.cumsum(squares), 0.95 * squares.sum())) + 1)
    return TableEmbedder(fitted, centre, axes[:dim].T.astype(np.float32))


def _is_id(column: Any) -> bool:
    import pyarrow as pa

    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return bool(text and len(column) > 1 and len(column.unique()) == len(column))


def _fit(table: pa.Table, name: str, most: int) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    if name not in table.column_names:
        raise InvalidInputError(f"no column '{name}'; there are {', '.join(table.column_names)}")
    column, kind = table[name], table[name].type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        counts = [
            (entry["values"], entry["counts"])
            for entry in pc.value_counts(column.drop_null()).to_pylist()
        ]
        frequent = sorted(counts, key=lambda entry: (-entry[1], entry[0]))[:most]
        return Column(
            name, categories=tuple(value for value, _ in frequent) if len(counts) > 1 else ()
        )
    plain = (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    )
    if not (plain or pa.types.is_temporal(kind)):
        raise InvalidInputError(
            f"column '{name}' is {kind}; numbers, dates, booleans and strings can be used: leave it out"
        )
    values = np.array(
        [
            _number(value, name, row)
            for row, value in enumerate(column.to_pylist())
            if value is not None
        ]
    )
    if not len(values):
        return Column(name, deviation=0.0)
    return Column(name, float(values.mean()), float(values.std()))
