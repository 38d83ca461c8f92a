"""The rows that a search may return."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vecsearch.common.arrays import Mask, Positions


@dataclass(frozen=True)
class RowSelection:
    """The rows a search may return: a mask over all rows (None: all of them), and how many they are."""

    mask: Mask | None
    count: int

    @cached_property
    def rows(self) -> Positions:
        if self.mask is None:
            return np.arange(self.count)
        return np.flatnonzero(self.mask)
