"""The rows that a search or a change may touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vecsearch.common.arrays import Mask, Positions
from vecsearch.common.lazy import lazy


@dataclass(frozen=True, eq=False)
class RowSelection:
    """Rows of one snapshot.

    mask: one bool for each row, deleted ones included; None selects all rows. count: how many are
    selected. Two selections are equal only when they are the same object, so one can be a dict key.
    """

    mask: Mask | None
    count: int

    @lazy
    def rows(self) -> Positions:
        """Positions of the selected rows, ascending."""
        if self.mask is None:
            return np.arange(self.count)
        return np.flatnonzero(self.mask)

    def count_in(self, positions: Positions) -> int:
        """How many of these positions are selected."""
        return len(positions) if self.mask is None else int(np.count_nonzero(self.mask[positions]))
