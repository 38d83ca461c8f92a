"""When added rows are indexed, and how: a pure function of row counts.

The parts of a version are a main index, tails (indexes of later rows) and rows outside. Nothing
here depends on time, so what an index contains follows from the sequence of commits.

- Few rows stay outside: so many that comparing their codes takes less than half of a search.
- Above that, all rows outside the main index join its graph once they are a 64th of it. Up to
  262,144 rows the first limit is at least that, and there are no tails.
- Otherwise the rows outside become a tail. It takes in the newest tails, as long as each is at most
  16 times as large as what is gathered: the sizes of those that stay grow geometrically.
- A single change may bring more rows than half of the main index, or delete more than 30% of it:
  then the index is built again. That costs no more than in proportion to the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vecsearch.index.growth import DELETED_SHARE, NEW_SHARE


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits in rows, and as shares of the main index.

    Attributes:
        first: A collection of so many rows gets its first index.
        least: So many rows may always stay outside.
        share: Of the main index: so many stay outside, within `least` and `most`.
        most: See `share`; comparing as many codes takes about 45 µs.
        beside_tails: Most rows outside where there are tails, which take their part of the time.
        without_codes: The same as `least` and `most` where rows outside are scored by their
            vectors.
        join: Share of the main index at which all later rows join it.
        ratio: How many times larger than the next a tail stays by itself.
    """

    first: int = 20_000
    least: int = 2048
    share: float = 1 / 16
    most: int = 4096
    beside_tails: int = 1024
    without_codes: int = 512
    join: float = 1 / 64
    ratio: int = 16


RULES = Rules()


@dataclass(frozen=True, slots=True)
class PartSizes:
    """How many live rows each part holds.

    Attributes:
        main: Rows in the main index, deleted ones included; 0 without an index.
        deleted: Deleted rows in the main index.
        tails: Rows in each tail, oldest first.
        outside: Rows in no index that an index can take.
        unlike: Rows in no index that are unlike those the main index was trained on.
        has_codes: Whether a search compares the codes of rows outside.
        has_tails: Whether the kind of the main index can have tails.
        can_extend: Whether rows can join the main index.
    """

    main: int
    deleted: int = 0
    tails: Sequence[int] = ()
    outside: int = 0
    unlike: int = 0
    has_codes: bool = True
    has_tails: bool = True
    can_extend: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """What to do.

    Attributes:
        action: "build" an index of all rows (a first one, or again); let all later rows "join" the
            main index; make a "tail"; or "none".
        tails: How many of the newest tails the new tail takes in.
    """

    action: Literal["none", "build", "join", "tail"]
    tails: int = 0


NONE = Step("none")


def next_step(sizes: PartSizes, rules: Rules = RULES) -> Step:
    """What to do after a change, so that searches stay fast."""
    if not sizes.main:
        return Step("build") if sizes.outside >= rules.first else NONE
    most, later = _most_outside(sizes, rules), sizes.outside + sum(sizes.tails)
    outgrown = (
        later >= max(most, NEW_SHARE * sizes.main)
        or sizes.deleted > max(rules.least, DELETED_SHARE * sizes.main)
        or sizes.unlike > max(most, rules.share * sizes.main)
    )
    if outgrown:
        return Step("build")
    if sizes.can_extend and later >= max(most, rules.join * sizes.main):
        return Step("join")
    if not sizes.has_tails or sizes.outside < outside_limit(sizes, rules):
        return NONE
    gathered, taken = sizes.outside, 0
    for size in reversed(sizes.tails):
        if size > rules.ratio * gathered:
            break
        gathered, taken = gathered + size, taken + 1
    return Step("tail", taken)


def outside_limit(sizes: PartSizes, rules: Rules = RULES) -> int:
    """Below so many rows outside nothing is done."""
    most = _most_outside(sizes, rules)
    return min(most, rules.beside_tails) if sizes.tails else most


def _most_outside(sizes: PartSizes, rules: Rules) -> int:
    """The limit where there are no tails."""
    if sizes.has_codes:
        return min(max(int(rules.share * sizes.main), rules.least), rules.most)
    return rules.without_codes
