"""Rows of a plain table as vectors: "items like this one" over numbers, dates, booleans and categories.

Numbers, dates and booleans are scaled to mean 0 and standard deviation 1; a category is one column a value (one-hot). The
columns are then centred and reduced by a singular value decomposition, which for plain numbers is principal components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.embedders.saved import Saved, write_saved
from vecsearch.errors import InvalidInputError

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
        self,
        columns: Sequence[Column],
        centre: Matrix,
        axes: npt.NDArray[np.float32],
        name: str = "table:unsaved",
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
                raise InvalidInputError(
                    f"row {row}: a table's row is a mapping of columns, not {type(document).__name__}"
                )
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
        columns = [
            {**asdict(column), "categories": column.categories and list(column.categories)}
            for column in self.columns
        ]
        return Saved("table", {"columns": columns}, (), {"centre": self.centre, "axes": self.axes})


def _row(columns: Sequence[Column], document: Mapping[str, Any], row: int) -> Matrix:
    """One row side by side, NaN where a value is null."""
    parts = []
    for column in columns:
        value = document[column.name]
        parts.append(
            np.full(column.width, np.nan) if value is None else _spread(column, value, row)
        )
    return np.concatenate(parts)


def _spread(column: Column, value: Any, row: int) -> Matrix:
    """A value as shape (width,)."""
    if column.categories is not None:
        return np.array(
            [str(value) == category for category in column.categories], dtype=np.float64
        )
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
