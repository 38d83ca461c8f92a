"""Compare a few searches with exact ones while they run, and warn when recall falls short."""

from __future__ import annotations

import threading
import time
import warnings

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.errors import RecallWarning
from vecsearch.evaluation.recall import recall_of_each
from vecsearch.query.searcher import Searcher
from vecsearch.storage.selection import RowSelection

CHECK_SHARE = 0.01  # at most this share of the time that passes goes into checks
FIRST_LOOK = (
    50  # checked searches before anything is concluded; again whenever their number has doubled
)
SIGMAS = (
    3.0  # how far below its target the recall must lie: about one false alarm in a thousand looks
)


class Watch:
    """Compares some searches with exact ones, and warns when they fall short of what was asked for."""

    def __init__(self) -> None:
        self.version = -1
        self._started = time.monotonic()
        self._seconds = 0.0
        self._lock = threading.Lock()
        self._reset(-1)

    def _reset(self, version: int) -> None:
        self.version, self.margins, self._next, self._warned = (
            version,
            list[float](),
            FIRST_LOOK,
            False,
        )

    def look(
        self, searcher: Searcher, query: Vectors, k: int, selection: RowSelection, target: float
    ) -> None:
        """Check one search, where there is time for it. The margin is its recall less its target."""
        if self._seconds > CHECK_SHARE * (time.monotonic() - self._started):
            return
        started = time.monotonic()
        reached = recall_of_each(searcher, query[None], k, selection, target)
        with self._lock:
            self._seconds += time.monotonic() - started
            version = searcher.snapshot.manifest.version
            if version != self.version:
                self._reset(version)
            self.margins += [recall - target for recall in reached]
            short = self._short()
        if short:
            warnings.warn(short, stacklevel=4)

    def _short(self) -> RecallWarning | None:
        """What to warn of, at the numbers of checked searches where it is looked."""
        count = len(self.margins)
        if self._warned or count < self._next:
            return None
        self._next = 2 * count
        mean, error = float(np.mean(self.margins)), float(np.std(self.margins, ddof=1)) / count**0.5
        if mean + SIGMAS * error >= 0:
            return None
        self._warned = True
        return RecallWarning(
            f"searches of version {self.version} fall {-mean:.3f} short of the target recall "
            f"(at least {-mean - SIGMAS * error:.3f}), on average over {count} that were checked",
            hint='build_index(queries="sampled") measures with these queries again; until then '
            "search with exact=True",
            command_hint="`vecsearch build --queries sampled` measures with these queries again; "
            "until then search with --exact",
        )
