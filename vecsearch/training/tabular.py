"""Rows of a table as vectors, measured: how well do the nearest rows say what a hidden value is?

Of each held-out row one column at a time is hidden, the nearest rows are found by the others, and
the hidden value is guessed from them: the most frequent category, or the mean number. The measure
is the share of the error that this avoids, compared with guessing the most frequent category, or
the median, for every row. With a target, only that column is guessed, and it is in no vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vecsearch.common.arguments import check_names, check_seed
from vecsearch.common.gate import gated
from vecsearch.embedders.tabular import Column, TableEmbedder, encode_rows
from vecsearch.ingest.table_columns import require_column
from vecsearch.training.gensim import Progress
from vecsearch.training.report import TrainingReport, method_score
from vecsearch.training.stopping import check_stopping, held_out_rows, nothing_measured
from vecsearch.training.table import fit_table, fitted_columns, unprojected

if TYPE_CHECKING:
    import pyarrow as pa

NEIGHBORS = 10
MOST_HELD_OUT = 500  # rows
MOST_SEARCHED = 5000  # rows among which the nearest are looked for
MOST_HIDDEN = 20  # columns
Matrix = npt.NDArray[np.float64]


@gated
def train_tabular(
    table: pa.Table,
    *,
    columns: Sequence[str] | None = None,
    target: str | None = None,
    dim: int | None = None,
    most_categories: int = 200,
    held_out: float = 0.1,
    seed: int = 0,
    progress: Progress | None = None,
) -> TableEmbedder:
    """Fit vectors of table rows: scaled numbers and one-hot categories, on their main components.

    See `fit_table` for the method. A part of the rows is held out, and `report` says how well the
    nearest rows tell a hidden value, beside those found without the projection.

    Args:
        table: The rows. Numbers, dates, times, booleans and strings can be used.
        columns: The columns to use; None takes all except ids (a column of strings, or of whole
            numbers that is called `id`, without repeated values).
        target: A column that is left out of the vectors, and that the report guesses; None guesses
            each column from the others.
        dim: The number of components; None keeps 95 % of the variance, at most 256 components.
        most_categories: How many values of a string column get a dimension: the most frequent ones.
        held_out: The share of the rows to hold out, at most 500 rows; 0 fits on all.
        seed: Seed of the choice.
        progress: Called when it is done.

    Returns:
        The embedder. Save it with `.save(folder)`; `.report` is what was measured.

    Raises:
        InvalidInputError: A column is missing or of an unusable type, no column varies, or a
            setting is wrong.

    Example:
        >>> import pyarrow as pa
        >>> wines = pa.table({"alcohol": [12.0, 14.0] * 20, "color": ["white", "red"] * 20})
        >>> train_tabular(wines).dim
        1
    """
    return _train("tabular", table, columns, target, most_categories, held_out, seed, progress, dim)


@gated
def train_one_hot(
    table: pa.Table,
    *,
    columns: Sequence[str] | None = None,
    target: str | None = None,
    most_categories: int = 200,
    held_out: float = 0.1,
    seed: int = 0,
    progress: Progress | None = None,
) -> TableEmbedder:
    """Fit vectors of table rows with a dimension for each category (one-hot) and scaled number.

    A part of the rows is held out, and `report` says how well the nearest rows tell a hidden value,
    beside those found on the main components (the kind "tabular").

    Args:
        table: The rows. Numbers, dates, times, booleans and strings can be used.
        columns: The columns to use; None takes all except ids (a column of strings, or of whole
            numbers that is called `id`, without repeated values).
        target: A column that is left out of the vectors, and that the report guesses; None guesses
            each column from the others.
        most_categories: How many values of a string column get a dimension: the most frequent ones.
        held_out: The share of the rows to hold out, at most 500 rows; 0 fits on all.
        seed: Seed of the choice.
        progress: Called when it is done.

    Returns:
        The embedder. Save it with `.save(folder)`; `.report` is what was measured.

    Raises:
        InvalidInputError: A column is missing or of an unusable type, no column varies, or a
            setting is wrong.

    Example:
        >>> import pyarrow as pa
        >>> train_one_hot(pa.table({"color": ["white", "red", "red"]})).dim
        2
    """
    return _train("one-hot", table, columns, target, most_categories, held_out, seed, progress)


def _train(
    kind: str,
    table: pa.Table,
    columns: Sequence[str] | None,
    target: str | None,
    most_categories: int,
    held_out: float,
    seed: int,
    progress: Progress | None,
    dim: int | None = None,
) -> TableEmbedder:
    check_seed(seed)
    check_stopping(held_out)
    if target is not None:
        require_column(table, target)
        names = table.column_names if columns is None else check_names("columns", columns)
        table_used = table.select([name for name in names if name in table.column_names])
        if target in table_used.column_names:
            table_used = table_used.drop_columns([target])
        columns = None if columns is None else [name for name in names if name != target]
    else:
        table_used = table
    rows = held_out_rows(table.num_rows, held_out, seed, MOST_HELD_OUT)
    train, asked = rows[0], np.sort(np.concatenate(rows[1:]))
    part = table_used.take(train)
    fitted = fitted_columns(part, columns, most_categories)
    names = [column.name for column in fitted]
    full = unprojected(part, fitted)
    projected = fit_table(part, columns=names, dim=dim, most_categories=most_categories)
    model = full if kind == "one-hot" else projected
    trained_on = {"rows": len(train), "columns": len(fitted)}
    texts = (*_left_out(part, fitted, columns), *_numbers_as_texts(part, fitted))
    if not len(asked):
        note = nothing_measured(held_out, "rows")
        model.report = TrainingReport(kind, trained_on, "", (), None, "", (note, *texts))
    else:
        hidden = fitted_columns(table.take(train), [target], most_categories) if target else fitted
        few = train[np.random.default_rng(seed).permutation(len(train))[:MOST_SEARCHED]]
        guesses = _Guesses(table, np.sort(few), asked, fitted, hidden[:MOST_HIDDEN])
        one_hot = method_score("one-hot", guesses.scores(full), seed=seed)
        tabular = method_score("tabular", guesses.scores(projected), seed=seed)
        scores = (one_hot, tabular) if kind == "one-hot" else (tabular, one_hot)
        guess = method_score("most frequent, median", guesses.of_every_row(), seed=seed)
        what = f"'{target}'" if target else "a hidden value"
        measure = (
            f"share of the error avoided where {what} is guessed from the {NEIGHBORS} nearest rows "
            f"({len(asked):,} rows)"
        )
        model.report = TrainingReport(kind, trained_on, measure, (*scores, guess), notes=texts)
    if progress is not None:
        progress(1, 1)
    return model


def _left_out(
    table: pa.Table, fitted: Sequence[Column], columns: Sequence[str] | None
) -> tuple[str, ...]:
    """Notes on columns that are not in the vectors, and on values of texts that are not."""
    names = {column.name for column in fitted}
    missing = [name for name in columns or table.column_names if name not in names]
    notes = []
    if missing:
        notes.append(
            f"Not in the vectors: {', '.join(missing)}. A column is left out if it does not vary, "
            "and ids, of which each is another."
        )
    for column in fitted:
        values = len(table[column.name].drop_null().unique()) if column.categories else 0
        if values > column.width:
            notes.append(
                f"Column '{column.name}' has {values:,} values; the {column.width:,} most frequent "
                "have a dimension each (most_categories=), and all others count as none."
            )
    return tuple(notes)


def _numbers_as_texts(table: pa.Table, fitted: Sequence[Column]) -> tuple[str, ...]:
    """A note on columns of texts that are all numbers or all dates: each value is a category."""
    import pyarrow as pa

    found = []
    for column in fitted:
        if column.categories is None:
            continue
        values = table[column.name].drop_null().cast(pa.string())
        for kind, name in ((pa.float64(), "numbers"), (pa.timestamp("s"), "dates")):
            try:
                values.cast(kind)
            except pa.ArrowInvalid:
                continue
            found.append(
                f"Column '{column.name}' holds texts that are all {name}: each value is a category "
                f"of its own. Give {name} to have near values near each other."
            )
            break
    return tuple(found)


class _Guesses:
    """Hidden values of rows, and how well they are guessed from other rows.

    Args:
        table: All rows.
        known: The numbers of the rows to guess from.
        asked: The numbers of the rows whose values are guessed.
        fitted: The columns of the vectors.
        hidden: The columns that are guessed.
    """

    def __init__(
        self,
        table: pa.Table,
        known: npt.NDArray[np.intp],
        asked: npt.NDArray[np.intp],
        fitted: Sequence[Column],
        hidden: Sequence[Column],
    ) -> None:
        self._fitted = fitted
        self._hidden = hidden
        names = [column.name for column in fitted]
        self._known, self._asked = (
            encode_rows(fitted, table.select(names).take(rows).to_pylist())
            for rows in (known, asked)
        )
        others = [column.name for column in hidden]
        self._values = [
            encode_rows(hidden, table.select(others).take(rows).to_pylist())
            for rows in (known, asked)
        ]

    def scores(self, model: TableEmbedder) -> Matrix:
        """For each row the share of the error that guessing from the nearest rows avoids."""
        return self._avoided(model)

    def of_every_row(self) -> Matrix:
        """The same for guessing the most frequent category, or the median, for every row."""
        return self._avoided(None)

    def _avoided(self, model: TableEmbedder | None) -> Matrix:
        shares, start = [], 0
        for column in self._hidden:
            part = slice(start, start + column.width)
            start += column.width
            known, asked = (values[:, part] for values in self._values)
            has = ~np.isnan(known[:, 0])
            usual = _usual(column, known[has])
            error = _errors(column, np.repeat(usual[None], len(asked), axis=0), asked)
            typical = np.nanmean(error) if not np.isnan(error).all() else 0.0
            if not typical > 0:
                continue
            if model is not None:
                near = self._nearest(model, column, has)
                guesses = np.stack([_guess(column, known[has][rows]) for rows in near])
                error = _errors(column, guesses, asked)
            shares.append((typical - error) / typical)
        if not shares:
            return np.zeros(len(self._asked))
        return np.asarray(np.nan_to_num(np.stack(shares), nan=0.0).mean(axis=0))

    def _nearest(
        self, model: TableEmbedder, column: Column, has: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.intp]:
        """The rows nearest to each asked one, by all columns but one: numbers among `has`."""
        one, other = (
            self._vectors(model, rows, column) for rows in (self._asked, self._known[has])
        )
        distances = (other**2).sum(axis=1) - 2 * one @ other.T
        return np.argsort(distances, axis=1, kind="stable")[:, :NEIGHBORS]

    def _vectors(self, model: TableEmbedder, encoded: Matrix, column: Column) -> Matrix:
        centered = np.where(np.isnan(encoded), 0.0, encoded - model.center)
        start = 0
        for each in self._fitted:
            if each.name == column.name:
                centered[:, start : start + each.width] = 0.0
            start += each.width
        return np.asarray(centered @ model.axes)


def _usual(column: Column, values: Matrix) -> Matrix:
    """The guess for every row: the most frequent category, or the median."""
    if column.categories is not None:
        return _guess(column, values)
    return np.asarray(np.median(values, axis=0))


def _guess(column: Column, values: Matrix) -> Matrix:
    """The guess from some rows: the most frequent category, the first of several; or the mean."""
    means = np.asarray(values.mean(axis=0))
    return np.eye(len(means))[means.argmax()] if column.categories is not None else means


def _errors(column: Column, guesses: Matrix, values: Matrix) -> Matrix:
    """The error of each guess: 0 or 1 for a category, else the distance; NaN for no value."""
    missing = np.isnan(values[:, 0])
    if column.categories is not None:
        wrong = (guesses.argmax(axis=1) != values.argmax(axis=1)) | ~(values > 0).any(axis=1)
        error = wrong.astype(np.float64)
    else:
        error = np.abs(guesses[:, 0] - values[:, 0])
    return np.asarray(np.where(missing, np.nan, error))
