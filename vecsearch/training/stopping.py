"""Stop training when a held-out measure gets worse, and keep the best state (early stopping).

Prechelt, "Early Stopping - But When?" (1998). The part of the data that decides when to stop is not
the part that is reported on: the best of several states looks better than it is on the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from vecsearch.common.arguments import check_whole, check_within
from vecsearch.errors import InvalidInputError

S = TypeVar("S")
LEAST_HELD_OUT = 20  # units; with fewer nothing is held out, as the measure would be chance
WORDS_SEEN = 5_000_000  # in all epochs, where their number is not given
MOST_EPOCHS = 50  # where their number is not given
MOST_ASKED = 1_000_000


class StopTrainingError(Exception):
    """Raised inside a library's training to end it."""


class Watch(Generic[S]):
    """Sees the held-out measure after each epoch, and keeps the best state.

    Args:
        measure: Gives the measure of the present state; higher is better.
        state: Gives a copy of the present state.
        patience: Stop after so many measurements in a row that are not above the best.

    Attributes:
        values: The measurements so far.
        best: The state of the best one; None before the first.
        best_epoch: Its number, from 1.

    Example:
        >>> values = iter([0.5, 0.7, 0.6, 0.6])
        >>> watch = Watch(lambda: next(values), lambda: "state", patience=2)
        >>> [watch.after(epoch) for epoch in (1, 2, 3, 4)], watch.best_epoch
        ([False, False, False, True], 2)
    """

    def __init__(self, measure: Callable[[], float], state: Callable[[], S], patience: int) -> None:
        self._measure = measure
        self._state = state
        self._patience = check_whole("patience", patience, 1)
        self.values: list[float] = []
        self.best: S | None = None
        self.best_epoch = 0
        self._since = 0

    def after(self, epoch: int) -> bool:
        """Measure the state after an epoch; whether training is to stop."""
        value = self._measure()
        if not self.values or value > max(self.values):
            self.best, self.best_epoch, self._since = self._state(), epoch, 0
        else:
            self._since += 1
        self.values.append(value)
        return self._since >= self._patience

    def reason(self, epochs: int) -> str:
        """Why training ended, as a report says it."""
        if self._since >= self._patience:
            times = "measurement was" if self._since == 1 else f"{self._since} measurements were"
            return (
                f"epoch {self.best_epoch} was the best on a held-out part: "
                f"the next {times} not above it"
            )
        last = ", the last" if self.best_epoch == epochs else f" of {epochs}"
        return f"epoch {self.best_epoch}{last}, was the best on a held-out part"


def check_stopping(held_out: float, patience: int = 1, epochs: int | None = None) -> None:
    """Check the settings of a held-out part, whether there is enough to hold out or not.

    Raises:
        InvalidInputError: One is wrong.
    """
    check_within("held_out", held_out, 0, 0.5)
    check_whole("patience", patience, 1)
    if epochs is not None and check_whole("epochs", epochs, 1) > MOST_ASKED:
        raise InvalidInputError(f"epochs is {epochs:,}; it must be {MOST_ASKED:,} or less")


def nothing_measured(held_out: float, what: str) -> str:
    """The sentence of a report without figures; `what` are the units, such as "texts"."""
    why = f"there are too few {what}" if held_out else "as asked for"
    return f"Nothing was held out ({why}), so nothing was measured."


def held_out_rows(
    count: int, share: float, seed: int, most: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Divide units at random into those to train on and two held-out parts.

    Args:
        count: How many units there are: texts, sessions, rows.
        share: The share to hold out.
        seed: Seed of the choice.
        most: How many units to hold out at most.

    Returns:
        The numbers of the units to train on, of those that decide when to stop, and of those that
        are reported on, each in order. With fewer than 20 to hold out, all are trained on.

    Raises:
        InvalidInputError: The share is not from 0 to 0.5.
    """
    held = min(most, round(check_within("held_out", share, 0, 0.5) * count))
    everything = np.arange(count)
    if held < LEAST_HELD_OUT:
        return everything, everything[:0], everything[:0]
    order = np.random.default_rng([seed, count]).permutation(count)
    return np.sort(order[held:]), np.sort(order[: held // 2]), np.sort(order[held // 2 : held])


def epochs_for(words: int, epochs: int | None, least: int) -> int:
    """The most passes over a corpus: those given, else more for a small one than for a large."""
    if epochs is not None:
        return epochs
    return int(np.clip(-(-WORDS_SEEN // max(1, words)), least, MOST_EPOCHS))
