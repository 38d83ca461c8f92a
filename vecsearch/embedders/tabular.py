"""Table rows as vectors, to find similar rows by numbers, dates, booleans and categories.

Numbers, dates and booleans are scaled to mean 0 and standard deviation 1; a category becomes one
column per value (one-hot). The columns are then centered and projected to their principal
components (singular value decomposition). `vecsearch.training.table` fits the scaling and the
components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.common.show import shown
from vecsearch.common.table_rows import RowText
from vecsearch.embedders.saved import Saved, TrainedEmbedder
from vecsearch.errors import InvalidInputError

Matrix = npt.NDArray[np.float64]
MISSPELLED = 0.8  # of difflib: names more alike are the same, misspelled


@dataclass(frozen=True)
class Column:
    """How one column of the table is encoded.

    Attributes:
        name: The column's name.
        mean: Mean of a numeric column.
        deviation: Standard deviation of a numeric column.
        categories: The values of a category that have a dimension each; None for a numeric column.
    """

    name: str
    mean: float = 0.0
    deviation: float = 1.0
    categories: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """How many dimensions the column has before the projection."""
        return 1 if self.categories is None else len(self.categories)

    def encode(self, value: Any, row: int) -> Matrix:
        """A value as float64, shape (width,); `row` is named in errors."""
        if self.categories is not None:
            return np.array([str(value) == category for category in self.categories], np.float64)
        return np.array([(number_of(value, self.name, row) - self.mean) / self.deviation])


class TableEmbedder(TrainedEmbedder):
    """Embeds rows, given as mappings from column name to value; documents and queries alike.

    A collection with this embedder takes tables: `add` embeds the columns that were fitted, and
    keeps all. A missing or null value counts as the average, an unknown category as none of the
    known ones. Columns that were not fitted are ignored.

    Args:
        columns: The encoded columns.
        center: Mean of the encoded columns: float64, shape (total width,).
        axes: Principal components: float32, shape (total width, dim).
        name: The embedder's name.

    Example:
        >>> import pyarrow as pa
        >>> from vecsearch.training.table import fit_table
        >>> embedder = fit_table(pa.table({"price": [1, 2, 3], "year": [1990, 2000, 2020]}))
        >>> embedder.embed_documents([{"price": 2}]).shape == (1, embedder.dim)
        True
    """

    metric = "l2"

    def __init__(
        self,
        columns: Sequence[Column],
        center: Matrix,
        axes: Vectors,
        name: str = "table:unsaved",
    ) -> None:
        super().__init__(name, int(axes.shape[1]))
        self.columns = list(columns)
        self.center = np.asarray(center, dtype=np.float64)
        self.axes: Vectors = np.ascontiguousarray(axes, dtype=np.float32)

    @property
    def row_columns(self) -> tuple[str, ...]:
        """The columns that are read of a row."""
        return tuple(column.name for column in self.columns)

    def embed_documents(self, documents: Sequence[Mapping[str, Any]]) -> Vectors:
        """Embed rows.

        Args:
            documents: Mappings from column name to value.

        Returns:
            float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: A row is not a mapping, or a value does not fit its column; the
                message names row and column.
        """
        encoded = encode_rows(self.columns, documents)
        centered = np.where(np.isnan(encoded), 0.0, encoded - self.center)
        return np.asarray(centered @ self.axes, dtype=np.float32)

    def embed_queries(self, queries: Sequence[Mapping[str, Any]]) -> Vectors:
        """Embed rows to search with, as `embed_documents` does; columns may be missing.

        Raises:
            InvalidInputError: As there; a row has columns, but none that is read, or one that is
                missing seems to be misspelled.
        """
        for number, query in enumerate(queries):
            given: Any = query.row if isinstance(query, RowText) else query
            if isinstance(given, Mapping):
                self._check_names([str(name) for name in given], number)
        return self.embed_documents(queries)

    def _check_names(self, given: Sequence[str], row: int) -> None:
        known = self.row_columns
        if given and not any(name in known for name in given):
            raise InvalidInputError(
                f"row {row}: it has no column that the model reads; these are {', '.join(known)}"
            )
        missing = [name for name in known if name not in given]
        for name in given:
            meant = [] if name in known else get_close_matches(name, missing, 1, MISSPELLED)
            if meant:
                raise InvalidInputError(
                    f"row {row}: the model reads no column {shown(name)}; did you mean "
                    f"{shown(meant[0])}?"
                )

    def _saved(self) -> Saved:
        columns = [
            {**asdict(column), "categories": column.categories and list(column.categories)}
            for column in self.columns
        ]
        return Saved("table", {"columns": columns}, (), {"centre": self.center, "axes": self.axes})


def encode_rows(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> Matrix:
    """Rows before the projection: float64 (len(rows), total width); NaN for missing values."""
    encoded = np.full((len(rows), sum(column.width for column in columns)), np.nan)
    for number, given in enumerate(rows):
        row: Any = given.row if isinstance(given, RowText) else given
        if not isinstance(row, Mapping):
            raise InvalidInputError(
                f"row {number}: a table's row is a mapping from column to value, not "
                f"{type(row).__name__}"
            )
        start = 0
        for column in columns:
            value = row.get(column.name)
            if value is not None:
                encoded[number, start : start + column.width] = column.encode(value, number)
            start += column.width
    return encoded


def number_of(value: Any, column: str, row: int) -> float:
    """A number, date, time or boolean as a number: dates, times and durations in seconds.

    A time without a zone counts as UTC, so that it is the same on every machine.

    Raises:
        InvalidInputError: The value is not a finite number; the message names row and column.
    """
    if isinstance(value, datetime):
        in_zone = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return in_zone.timestamp()
    if isinstance(value, date):
        return float(value.toordinal()) * 86_400
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"row {row}, column '{column}': {value!r} is not a number"
        ) from error
    if not np.isfinite(number):
        raise InvalidInputError(f"row {row}, column '{column}': {value!r} is not a finite number")
    return number


def from_saved(saved: Saved, name: str) -> TableEmbedder:
    """The embedder that `TableEmbedder.save` wrote."""
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
