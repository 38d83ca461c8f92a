"""Rows of a plain table as vectors: "items like this one" over numbers, dates, booleans and categories.

Numbers, dates and booleans are scaled to mean 0 and standard deviation 1; a category is one column a value (one-hot). The
columns are then centred and reduced by a singular value decomposition, which for plain numbers is principal components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vecsearch.embedders.saved import Saved, write_saved
from vecsearch.errors import InvalidInputError
from vecsearch.principal import principal_axes

if TYPE_CHECKING:
    import pyarrow as pa

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """One column of the table: a number with its mean and deviation, or a category with the values that have a place."""

    name: str
    mean: float = 0.0
    deviation: float = 1.0
    categories: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        return 1 if self.categories is None else len(self.categories)


class TableEmbedder:
    """Rows as mappings from column to value. A value that is missing or null counts as the average, an unseen category as
    none of the known; columns that were not fitted are passed over. Documents and queries alike."""

    def __init__(
        self, columns: Sequence[Column], centre: Matrix, axes: npt.NDArray[np.float32], name: str = "table:unsaved"
    ) -> None:
        """centre: shape (width,) of all columns side by side; axes: shape (width, dim)."""
        self.columns = list(columns)
        self.centre = np.asarray(centre, dtype=np.float64)
        self.axes = np.ascontiguousarray(axes, dtype=np.float32)
        self.dim = int(axes.shape[1])
        self.name = name

    def fingerprint(self) -> str:
        """sha256 over columns, scaling and axes."""
        return self._saved().fingerprint()

    def embed_documents(self, documents: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float32]:
        """float32, shape (len(documents), dim). Raises InvalidInputError that names row and column."""
        spread = np.tile(self.centre, (len(documents), 1))
        for row, document in enumerate(documents):
            if not isinstance(document, Mapping):
                raise InvalidInputError(f"row {row}: a table's row is a mapping of columns, not {type(document).__name__}")
            at = 0
            for column in self.columns:
                value = document.get(column.name)
                if value is not None:
                    spread[row, at : at + column.width] = _spread(column, value, row)
                at += column.width
        return np.asarray((spread - self.centre) @ self.axes, dtype=np.float32)

    def embed_queries(self, queries: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float32]:
        return self.embed_documents(queries)

    def save(self, folder: str | Path) -> Path:
        """Write into a new folder, without pickle; the name becomes `saved:FOLDER`. Raises InvalidInputError."""
        path = write_saved(self._saved(), folder)
        self.name = f"saved:{path}"
        return path

    def _saved(self) -> Saved:
        columns = [{**asdict(column), "categories": column.categories and list(column.categories)} for column in self.columns]
        return Saved("table", {"columns": columns}, (), {"centre": self.centre, "axes": self.axes})


def fit_table(
    table: pa.Table, *, columns: Sequence[str] | None = None, dim: int | None = None, most_categories: int = 200
) -> TableEmbedder:
    """Fit scaling, categories and axes on a table.

    columns: those that count; None takes all but ids (a string column whose values are all different). dim: dimensions to
    keep; None keeps what holds 95 % of the variance, 256 at most. most_categories: the most frequent values that get a place.
    Raises InvalidInputError for a missing column, one that cannot be used, or nothing that varies.
    """
    chosen = list(columns) if columns is not None else [name for name in table.column_names if not _is_id(table[name])]
    fitted = [_fit(table, name, most_categories) for name in chosen]
    fitted = [column for column in fitted if column.width and column.deviation > 0]
    if not fitted or table.num_rows < 2:
        raise InvalidInputError(f"nothing to fit on: no column of {', '.join(chosen) or 'the table'} varies")
    if dim is not None and not 1 <= dim <= sum(column.width for column in fitted):
        raise InvalidInputError(f"dim is {dim}; these columns have {sum(column.width for column in fitted)} dimensions")
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


def _row(columns: Sequence[Column], document: Mapping[str, Any], row: int) -> Matrix:
    """One row side by side, NaN where a value is null."""
    parts = []
    for column in columns:
        value = document[column.name]
        parts.append(np.full(column.width, np.nan) if value is None else _spread(column, value, row))
    return np.concatenate(parts)


def _spread(column: Column, value: Any, row: int) -> Matrix:
    """A value as shape (width,)."""
    if column.categories is not None:
        return np.array([str(value) == category for category in column.categories], dtype=np.float64)
    return np.array([(_number(value, column.name, row) - column.mean) / column.deviation])


def _number(value: Any, name: str, row: int) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return float(value.toordinal()) * 86_400
    if isinstance(value, time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"row {row}, column '{name}': {value!r} is not a number") from error
    if not np.isfinite(number):
        raise InvalidInputError(f"row {row}, column '{name}': {value!r} is not a finite number")
    return number


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
        counts = [(entry["values"], entry["counts"]) for entry in pc.value_counts(column.drop_null()).to_pylist()]
        frequent = sorted(counts, key=lambda entry: (-entry[1], entry[0]))[:most]
        return Column(name, categories=tuple(value for value, _ in frequent) if len(counts) > 1 else ())
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind)
    if not (plain or pa.types.is_temporal(kind)):
        raise InvalidInputError(f"column '{name}' is {kind}; numbers, dates, booleans and strings can be used: leave it out")
    values = np.array([_number(value, name, row) for row, value in enumerate(column.to_pylist()) if value is not None])
    if not len(values):
        return Column(name, deviation=0.0)
    return Column(name, float(values.mean()), float(values.std()))


def from_saved(saved: Saved, name: str) -> TableEmbedder:
    columns = [
        Column(
            entry["name"],
            entry["mean"],
            entry["deviation"],
            None if entry["categories"] is None else tuple(entry["categories"]),
        )
        for entry in saved.settings["columns"]
    ]
    return TableEmbedder(columns, saved.arrays["centre"], saved.arrays["axes"], name)
