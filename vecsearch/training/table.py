"""Fit an embedder of table rows: scaling, categories and principal components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.common.arguments import check_names, check_whole
from vecsearch.common.gate import gated
from vecsearch.common.json_column import type_name
from vecsearch.common.pca import principal_axes
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.embedders.tabular import Column, TableEmbedder, encode_rows, number_of
from vecsearch.errors import InvalidInputError
from vecsearch.types import ID, counted

if TYPE_CHECKING:
    import pyarrow as pa

VARIANCE = 0.95  # the share that the dimensions keep where `dim` is None
LARGEST_DIM = 256
LARGEST_NUMBER = 1e150  # whose square is a float64


@gated
def fit_table(
    table: pa.Table,
    *,
    columns: Sequence[str] | None = None,
    dim: int | None = None,
    most_categories: int = 200,
) -> TableEmbedder:
    """Fit an embedder on the rows of a table.

    Numbers are standardized and categories one-hot encoded; the result is projected to its
    principal components, computed about the mean.

    Args:
        table: The rows. Numbers, dates, times, booleans and strings can be used.
        columns: The columns to use; None takes all except ids (a column of strings, or of whole
            numbers that is called `id`, without repeated values).
        dim: The number of components; None keeps 95 % of the variance, at most 256 components.
        most_categories: How many values of a string column get a dimension: the most frequent ones.

    Returns:
        The embedder; save it with `.save(folder)`.

    Raises:
        InvalidInputError: A column is missing or of an unusable type, no column varies, or `dim` is
            out of range.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"price": [1.0, 1.1, 9.0], "color": ["red", "red", "blue"]})
        >>> embedder = fit_table(table, dim=1)
        >>> a, b, c = embedder.embed_documents(table.to_pylist())[:, 0]
        >>> bool(abs(a - b) < abs(a - c))
        True
    """
    fitted = fitted_columns(table, columns, most_categories)
    width = sum(column.width for column in fitted)
    if dim is not None and check_whole("dim", dim, 1) > width:
        raise InvalidInputError(
            f"dim is {shown(dim)}; these columns have {counted(width, 'dimension')}"
        )
    encoded = encode_rows(fitted, table.select([column.name for column in fitted]).to_pylist())
    center = np.nanmean(encoded, axis=0)
    centered = np.where(np.isnan(encoded), 0.0, encoded - center)
    _, squares, axes = principal_axes(centered, centered=False)
    if dim is None:
        enough = int(np.searchsorted(np.cumsum(squares), VARIANCE * squares.sum())) + 1
        dim = min(LARGEST_DIM, enough)
    return TableEmbedder(fitted, center, axes[:dim].T.astype(np.float32))


def unprojected(table: pa.Table, fitted: Sequence[Column]) -> TableEmbedder:
    """The embedder of the encoded columns themselves: one dimension for each value or number."""
    encoded = encode_rows(fitted, table.select([column.name for column in fitted]).to_pylist())
    axes = np.eye(encoded.shape[1], dtype=np.float32)
    return TableEmbedder(fitted, np.nanmean(encoded, axis=0), axes)


def fitted_columns(
    table: pa.Table, columns: Sequence[str] | None, most_categories: int
) -> list[Column]:
    """How each column is encoded; those that do not vary are left out.

    Raises:
        InvalidInputError: A column is missing or of an unusable type, or none varies.
    """
    check_whole("most_categories", most_categories, 1)
    chosen = (
        check_names("columns", columns)
        if columns is not None
        else [name for name in table.column_names if not _is_id(name, table[name])]
    )
    fitted = [_fit_column(table, name, most_categories) for name in chosen]
    fitted = [column for column in fitted if column.width and column.deviation > 0]
    if not fitted or table.num_rows < 2:
        raise InvalidInputError(
            f"nothing to fit on: no column of {', '.join(chosen) or 'the table'} varies"
        )
    return fitted


def _is_id(name: str, column: Any) -> bool:
    import pyarrow as pa

    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    may_be = text or (name == ID and pa.types.is_integer(column.type))
    return bool(may_be and len(column) > 1 and len(column.unique()) == len(column))


def _fit_column(table: pa.Table, name: str, most_categories: int) -> Column:
    import pyarrow as pa

    if name not in table.column_names:
        raise InvalidInputError(
            f"there is no column {shown(name)}{did_you_mean(name, table.column_names)}"
        )
    column, kind = table[name], table[name].type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _fit_categories(column, name, most_categories)
    numeric = (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    )
    if not (numeric or pa.types.is_temporal(kind)):
        raise InvalidInputError(
            f"column '{name}' is {type_name(kind)}; only numbers, dates, booleans and strings can "
            "be used: leave it out"
        )
    values = np.array(
        [
            number_of(value, name, row)
            for row, value in enumerate(column.to_pylist())
            if value is not None
        ]
    )
    if not len(values):
        return Column(name, deviation=0.0)
    largest = float(np.abs(values).max())
    if largest > LARGEST_NUMBER:
        raise InvalidInputError(
            f"column '{name}' holds {largest:.3g}; numbers up to {LARGEST_NUMBER:g} can be scaled"
        )
    return Column(name, float(values.mean()), float(values.std()))


def _fit_categories(column: Any, name: str, most: int) -> Column:
    """The most frequent values, ties by value; none where all values are equal."""
    import pyarrow.compute as pc

    counts = [
        (entry["values"], entry["counts"])
        for entry in pc.value_counts(column.drop_null()).to_pylist()
    ]
    if len(counts) < 2:
        return Column(name, categories=())
    frequent = sorted(counts, key=lambda entry: (-entry[1], entry[0]))[:most]
    return Column(name, categories=tuple(value for value, _ in frequent))
