"""How much is held in memory, and put into one file, at a time."""

from __future__ import annotations

from dataclasses import dataclass, fields

from vecsearch.common.gate import gate
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError


@gate
@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes that bound the memory of an operation. The defaults suit most collections.

    They are no part of a collection: another process may open it with other limits.

    Attributes:
        window_rows: Documents that `add` checks, splits and embeds together.
        segment_rows: A new segment ends at this many rows.
        segment_bytes: A new segment ends at this many bytes.
        compact_rows: A compacted segment ends at this many rows.
        compact_bytes: A compacted segment ends at this many bytes.
        smallest_index_rows: Collections with fewer rows get no index: exact search is faster.
        index_batch_rows: Rows that are added to an index together.

    Raises:
        InvalidInputError: A limit is not a whole number of 1 or more.

    Example:
        >>> import vecsearch
        >>> vecsearch.Limits(segment_rows=100_000).window_rows
        4096
    """

    window_rows: int = 4096
    segment_rows: int = 262_144
    segment_bytes: int = 256 * 1024 * 1024
    compact_rows: int = 1_048_576
    compact_bytes: int = 512 * 1024 * 1024
    smallest_index_rows: int = 1000
    index_batch_rows: int = 16_384

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InvalidInputError(
                    f"limits: {field.name} is {value!r}; it must be a whole number, 1 or more"
                )


def check_limits(limits: object) -> Limits:
    """Limits that a caller gave. Raises InvalidInputError for anything else."""
    if not isinstance(limits, Limits):
        raise InvalidInputError(f"limits is {shown(limits)}; it must be vecsearch.Limits(...)")
    return limits


DEFAULT_LIMITS = Limits()
