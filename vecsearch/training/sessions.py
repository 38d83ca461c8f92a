"""Sessions of items: who had what, in which order, and which of it is held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.table_columns import id_column, one_item_a_row, require_column

if TYPE_CHECKING:
    import pyarrow as pa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sessions:
    """Items by session, sessions one after the other, each oldest first.

    Attributes:
        keys: The items as strings, sorted.
        items: int64 (rows,): numbers of items.
        weights: float64 (rows,): how much each row counts; 1 without ratings.
        starts: int64 (sessions + 1,): where each session begins.
        ordered: Whether a column says in which order they were.
        notes: What is odd about the data.
    """

    keys: list[str]
    items: Ints
    weights: Floats
    starts: Ints
    ordered: bool
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Ints:
        """The items in each session."""
        return np.diff(self.starts)

    @property
    def session(self) -> Ints:
        """The session of each row."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def places(self) -> Ints:
        """The place of each row in its session, from 0."""
        return np.arange(len(self.items)) - self.starts[self.session]

    def kept(self, mask: npt.NDArray[np.bool_]) -> Sessions:
        """Some of the rows; sessions may become empty."""
        counts = np.bincount(self.session[mask], minlength=len(self))
        starts = np.concatenate([[0], np.cumsum(counts)])
        return replace(self, items=self.items[mask], weights=self.weights[mask], starts=starts)

    def incidence(self) -> Any:
        """Sessions by items, the weight in each cell, the largest one of an item that is repeated.

        Returns a scipy.sparse.csr_array of float64.
        """
        from scipy.sparse import csr_array

        order = np.lexsort((-self.weights, self.items, self.session))
        session, item = self.session[order], self.items[order]
        first = np.ones(len(order), bool)
        first[1:] = (session[1:] != session[:-1]) | (item[1:] != item[:-1])
        cells = (self.weights[order][first], (session[first], item[first]))
        return csr_array(cells, shape=(len(self), len(self.keys)))

    def hold_out(self) -> tuple[Sessions, Cases]:
        """Hold out the last item of each session that has another one.

        Returns:
            What is left, and the items held out, each to be found from all before it.
        """
        return self._without_last((self.lengths > 1).astype(np.int64))

    def hold_out_some(self, most: int) -> tuple[Sessions, Cases]:
        """Hold out the last items of sessions so that enough is left to learn from.

        These are up to a quarter of a session and at most `most`; of sessions of fewer than four
        items one, in every second session.
        """
        lengths = self.lengths
        short = (lengths < 4) & (lengths > 1)
        last = np.minimum(most, lengths // 4)
        last[short] = np.cumsum(short)[short] % 2
        return self._without_last(last)

    def _without_last(self, last: Ints) -> tuple[Sessions, Cases]:
        """Hold out the last items of each session, so many."""
        hidden = self.places >= (self.lengths - last)[self.session]
        rows = np.flatnonzero(hidden)
        return self.kept(~hidden), Cases(self, rows[_is_new(self, rows)])


@dataclass(frozen=True)
class Cases:
    """Items to be found, each from what came before it in its session.

    Attributes:
        sessions: The sessions.
        rows: int64 (cases,): the rows of the items.
    """

    sessions: Sessions
    rows: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def targets(self) -> Ints:
        """The items to be found."""
        return self.sessions.items[self.rows]

    @property
    def units(self) -> Ints:
        """The session of each case; cases of one session are not independent."""
        return self.sessions.session[self.rows]

    def history(self, case: int) -> Ints:
        """The items before one to be found, oldest first."""
        row = int(self.rows[case])
        start = int(self.sessions.starts[self.sessions.session[row]])
        return self.sessions.items[start:row]

    def some(self, most: int, seed: int) -> Cases:
        """At most `most` of the cases, drawn at random."""
        if len(self) <= most:
            return self
        drawn = np.random.default_rng(seed).choice(len(self), most, replace=False)
        return replace(self, rows=self.rows[np.sort(drawn)])


def read_sessions(
    table: pa.Table,
    session: str,
    item: str,
    order: str | None = None,
    rating: str | None = None,
    *,
    min_count: int = 1,
    seed: int = 0,
) -> Sessions:
    """Read sessions from a table with one row for each item of a session.

    Args:
        table: The table.
        session: The column that names the session.
        item: The column that names the item, or holds lists of items.
        order: The column of times, by which a session is sorted; rows of the same time keep their
            order. None shuffles each session.
        rating: A column of numbers, 0 or more, by which rows count; the largest counts 1. None
            counts all rows alike.
        min_count: Items that occur less often are left out.
        seed: Seed of the shuffle.

    Returns:
        The sessions, in the order of their names.

    Raises:
        InvalidInputError: A column is missing, has a null, or times or ratings that are none; no
            session has two items.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"user": ["b", "a", "b"], "film": [1, 2, 3], "day": [2, 1, 1]})
        >>> found = read_sessions(table, "user", "film", "day")
        >>> found.keys, found.items.tolist(), found.starts.tolist()
        (['1', '2', '3'], [1, 2, 0], [0, 1, 3])
    """
    table = one_item_a_row(table, item)
    names, items = id_column(table, session), id_column(table, item)
    weights = np.ones(len(items)) if rating is None else _ratings(table, rating)
    notes: tuple[str, ...] = ()
    if order is None:
        rows = np.random.default_rng(seed).permutation(len(items))
    else:
        times = time_order(table, order)
        rows = np.argsort(times, kind="stable")
    codes = np.unique(names, return_inverse=True)[1] if len(names) else np.empty(0, np.int64)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    keys, numbers, counts = np.unique(items, return_inverse=True, return_counts=True)
    if order is not None:
        notes = _about_ties(times[rows], codes[rows], order)
    frequent = counts >= min_count
    rows = rows[frequent[numbers[rows]]]
    numbers = np.where(frequent, np.cumsum(frequent) - 1, -1)[numbers]
    _, lengths = np.unique(codes[rows], return_counts=True)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if not (lengths > 1).any():
        rare = f" that occurs {min_count} times (min_count)" if min_count > 1 else ""
        raise InvalidInputError(
            f"nothing to train on: no session ('{session}') has two items ('{item}'){rare}"
        )
    return Sessions(
        keys[frequent].tolist(),
        numbers[rows].astype(np.int64),
        weights[rows],
        starts,
        order is not None,
        notes,
    )


def time_order(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """Numbers that sort as the times of a column do.

    Texts are read as numbers or as dates such as 2024-05-31 12:00, if all are.

    Raises:
        InvalidInputError: There is no such column, a time is missing, or they do not sort by time.

    Example:
        >>> import pyarrow as pa
        >>> time_order(pa.table({"day": ["9", "10"]}), "day").tolist()
        [9.0, 10.0]
    """
    import pyarrow as pa

    column = require_column(table, name)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise InvalidInputError(
            f"column '{name}', row {row}: the time is missing, so it is not known where the item "
            "stands in its session",
            hint="leave out such rows, or give no order=",
            command_hint="leave out such rows, or give no --order",
        )
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = _times_of_texts(column, name)
        kind = column.type
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        column = column.view(pa.int32() if kind.bit_width == 32 else pa.int64())
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise InvalidInputError(
            f"column '{name}' holds {kind}, which does not sort by time: give numbers, dates or "
            "times"
        )
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise InvalidInputError(f"column '{name}', row {row}: {values[row]} is no time")
    return values


def _times_of_texts(column: Any, name: str) -> Any:
    """Texts as numbers or as times."""
    import pyarrow as pa

    for kind in (pa.float64(), pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            continue
    raise InvalidInputError(
        f"column '{name}' holds texts such as {shown(column[0].as_py())}, which sort as texts and "
        "not by time: give numbers, dates or times",
    )


def _ratings(table: pa.Table, name: str) -> Floats:
    """The weights of rows by their ratings; the largest is 1."""
    import pyarrow as pa

    column = require_column(table, name)
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise InvalidInputError(f"column '{name}' holds {kind}; ratings are numbers, 0 or more")
    values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    wrong = ~(values >= 0) | np.isinf(values)
    if wrong.any():
        row = int(np.argmax(wrong))
        given = column[row].as_py()
        raise InvalidInputError(
            f"column '{name}', row {row}: the rating is {'missing' if given is None else given}; "
            "it must be a number, 0 or more"
        )
    if not values.any():
        raise InvalidInputError(f"column '{name}': every rating is 0, so no row counts")
    return np.asarray(values / values.max())


def _about_ties(times: npt.NDArray[Any], codes: Ints, name: str) -> tuple[str, ...]:
    """A note where most neighbors in sessions have the same time."""
    same = codes[1:] == codes[:-1]
    ties = same & (times[1:] == times[:-1])
    if not same.any() or ties.sum() * 2 <= same.sum():
        return ()
    return (
        f"{ties.sum() / same.sum():.0%} of neighbors in a session have the same '{name}'; these "
        "keep the order of the rows, so check that it is the order of time.",
    )


def _is_new(sessions: Sessions, rows: Ints) -> npt.NDArray[np.bool_]:
    """Which rows are the first of their item in their session; others count as seen."""
    order = np.lexsort((sessions.places, sessions.items, sessions.session))
    session, item = sessions.session[order], sessions.items[order]
    first = np.ones(len(order), bool)
    first[1:] = (session[1:] != session[:-1]) | (item[1:] != item[:-1])
    is_first = np.empty(len(order), bool)
    is_first[order] = first
    return is_first[rows]
