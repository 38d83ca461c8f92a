"""Find the rows of a window that cannot be added: name file and line of each, or leave them out.

An error that is raised for no rows at all is about the columns: it is never left out.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

import numpy as np
import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.rows import RowChecker, Rows
from vecsearch.ingest.sources import Places, Reading

T = TypeVar("T")


class BadRows:
    """What happens to rows that cannot be added.

    Args:
        places: Where the rows of the add came from.
        reading: Whether such rows are left out, and the report they go to.
    """

    def __init__(self, places: Places, reading: Reading) -> None:
        self.places = places
        self.reading = reading

    def check(self, checker: RowChecker, window: pa.RecordBatch, first: int) -> Rows:
        """The rows of a window, whose first is row `first` of the data, that pass the checker.

        Raises:
            InvalidInputError: A row does not fit, and the reading does not skip. The message names
                the row's file and line.
        """
        before = copy.copy(checker)

        def tried(start: int, count: int) -> None:
            copy.copy(before).check(window.slice(start, count), first + start)

        try:
            return checker.check(window, first)
        except InvalidInputError as error:
            good = self._without_bad(
                error, tried, window.num_rows, np.arange(first, first + window.num_rows)
            )
        vars(checker).update(vars(before))
        rows = checker.check(window.take(pa.array(good)), first)
        return Rows(rows.batch, rows.vectors, first + good)

    def encode(self, rows: Rows, encode: Callable[[Rows], T]) -> tuple[Rows, T]:
        """Rows that the model can embed, and what `encode` makes of them.

        Raises:
            InvalidInputError: A row cannot be embedded, such as a picture that is damaged, and the
                reading does not skip.
        """

        def tried(start: int, count: int) -> None:
            encode(_slice(rows, start, count))

        try:
            return rows, encode(rows)
        except InvalidInputError as error:
            if not self.reading.skips:
                self._raise_first(error, tried, rows.numbers)
            good = self._without_bad(error, tried, len(rows.numbers), rows.numbers)
        mask = np.zeros(len(rows.numbers), bool)
        mask[good] = True
        rows = rows.keep(mask)
        return rows, encode(rows)

    def _raise_first(
        self,
        error: InvalidInputError,
        tried: Callable[[int, int], None],
        numbers: np.ndarray[tuple[int], np.dtype[np.int64]],
    ) -> NoReturn:
        """Raise what is wrong with the first row that fails alone, with its place.

        A model is given texts in another order than the data has, and names the number of one.
        """
        for index, found in _bad(tried, 0, len(numbers)):
            raise placed(found, str(self.places.place(int(numbers[index])))) from None
        raise error

    def _without_bad(
        self,
        error: InvalidInputError,
        tried: Callable[[int, int], None],
        count: int,
        numbers: np.ndarray[tuple[int], np.dtype[np.int64]],
    ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The indexes of the rows that pass; the others are noted, or the first one raised."""
        try:
            tried(0, 0)
        except InvalidInputError:
            raise error from None
        good = np.ones(count, bool)
        for index, found in _bad(tried, 0, count):
            place = self.places.place(int(numbers[index]))
            self.reading.fail(placed(found, str(place)), place)
            good[index] = False
        if good.all():
            raise error
        return np.flatnonzero(good)


def _bad(
    tried: Callable[[int, int], None], start: int, count: int
) -> Iterator[tuple[int, InvalidInputError]]:
    """The rows that fail alone, found by halves, in their order."""
    try:
        tried(start, count)
    except InvalidInputError as error:
        if count == 1:
            yield start, error
            return
        half = count // 2
        yield from _bad(tried, start, half)
        yield from _bad(tried, start + half, count - half)


def placed(error: InvalidInputError, place: str) -> InvalidInputError:
    """The error about one row, with its place for the number that it names."""
    message = re.sub(r"\brow \d+\b", lambda found: place, error.message, count=1)
    if message == error.message and not message.startswith(place):
        message = f"{place}: {message}"
    error.args = (message, *error.args[1:])
    return error


def _slice(rows: Rows, start: int, count: int) -> Rows:
    mask = np.zeros(len(rows.numbers), bool)
    mask[start : start + count] = True
    return rows.keep(mask)
