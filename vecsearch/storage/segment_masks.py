"""Which rows of a segment a filter keeps, remembered over commits.

A segment never changes, so a commit costs a filter only the rows of the new segment. Deleted rows
are left out when the masks of a version are put together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container
from typing import Final

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Mask
from vecsearch.common.fork import Lock

MOST_FILTERS: Final = 64


class SegmentMasks:
    """The masks of the filters used last: a bit for each row of each segment. Thread-safe."""

    def __init__(self, most_filters: int = MOST_FILTERS) -> None:
        self._most_filters = most_filters
        self._lock = Lock()
        self._masks: OrderedDict[str, dict[str, npt.NDArray[np.uint8]]] = OrderedDict()

    def get(self, key: str, segment: str, rows: int) -> Mask | None:
        """The mask of a filter, by its key, for a segment of so many rows; None if unknown."""
        with self._lock:
            packed = self._masks.get(key, {}).get(segment)
            if packed is None:
                return None
            self._masks.move_to_end(key)
        return np.unpackbits(packed, count=rows).view(np.bool_)

    def put(self, key: str, segment: str, mask: Mask) -> None:
        """Remember a mask, and forget the filter that was not used for the longest time."""
        packed = np.packbits(mask)
        with self._lock:
            self._masks.setdefault(key, {})[segment] = packed
            self._masks.move_to_end(key)
            if len(self._masks) > self._most_filters:
                self._masks.popitem(last=False)

    def keep_only(self, segments: Container[str]) -> None:
        """Forget the masks of all other segments."""
        with self._lock:
            self._masks = OrderedDict(
                (key, {name: mask for name, mask in masks.items() if name in segments})
                for key, masks in self._masks.items()
            )
