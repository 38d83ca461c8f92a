"""Compare some searches with exact ones while they run, and warn if their recall falls short."""

from __future__ import annotations

import time
import warnings

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.fork import Lock
from vecsearch.errors import RecallWarning
from vecsearch.evaluation.recall import recall_of_each
from vecsearch.query.searcher import Searcher
from vecsearch.storage.selection import RowSelection

CHECK_ONE_IN = 20  # at most one search in so many is checked
CHECK_SHARE = 0.01  # at most this share of the elapsed time is spent on checks
FIRST_TEST = 50  # checked searches before the first test; then again whenever their number doubles
SIGMAS = (
    3.0  # standard errors below the target that cause a warning: one false alarm in 1,000 tests
)


class RecallWatch:
    """Checks the recall of some searches. Thread-safe.

    The margin of a search is its recall minus its target. If the mean margin of one version's
    checked searches is below zero by more than chance, a RecallWarning is given, once for each
    version.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._seconds = 0.0
        self._searches = 0
        self._lock = Lock()
        self._start_version(-1)

    def _start_version(self, version: int) -> None:
        self.version = version
        self.margins: list[float] = []
        self._next_test = FIRST_TEST
        self._warned = False

    def observe(
        self, searcher: Searcher, query: Vectors, k: int, selection: RowSelection, target: float
    ) -> None:
        """Count a search, and check one in `CHECK_ONE_IN`."""
        self._searches += 1
        if selection.count and self._searches % CHECK_ONE_IN == 0:
            self.check(searcher, query, k, selection, target)

    def check(
        self, searcher: Searcher, query: Vectors, k: int, selection: RowSelection, target: float
    ) -> None:
        """Repeat one search, also exactly, unless checks have taken their share of the time."""
        if self._seconds > CHECK_SHARE * (time.monotonic() - self._started):
            return
        started = time.monotonic()
        recalls = recall_of_each(searcher, query[None], k, selection, target)
        with self._lock:
            self._seconds += time.monotonic() - started
            version = searcher.snapshot.manifest.version
            if version != self.version:
                self._start_version(version)
            self.margins += (recalls[~np.isnan(recalls)] - target).tolist()
            warning = self._warning()
        if warning is not None:
            warnings.warn(warning, stacklevel=5)

    def _warning(self) -> RecallWarning | None:
        """The warning that is due now."""
        count = len(self.margins)
        if self._warned or count < self._next_test:
            return None
        self._next_test = 2 * count
        mean, error = float(np.mean(self.margins)), float(np.std(self.margins, ddof=1)) / count**0.5
        if mean + SIGMAS * error >= 0:
            return None
        self._warned = True
        return RecallWarning(
            f"searches of version {self.version} fall {-mean:.3f} short of the target recall "
            f"(at least {-mean - SIGMAS * error:.3f}), on average over {count} checked searches",
            hint='build_index(queries="sampled") measures with these queries again; until then '
            "search with exact=True",
            command_hint="`vecsearch build --queries sampled` measures with these queries again; "
            "until then search with --exact",
        )
