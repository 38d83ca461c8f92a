"""The end of a message about an unknown name: "did you mean ...?"."""

from __future__ import annotations

from collections.abc import Iterable

from vecsearch.common.show import cut, shown
from vecsearch.types import RESERVED

SIMILARITY = 0.5  # of difflib, from 0 to 1: names less alike are not suggested
MAX_LISTED = 20  # names listed where none is similar
LONGEST_NAME = 200  # characters that are compared
MAX_COMPARED = 100_000  # more names take difflib seconds


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest a known name for an unknown one, ready to be appended to a message.

    Letter case does not matter. Columns that vecsearch adds itself are never suggested.

    Args:
        name: The unknown name.
        known: The known names, in the order in which they are listed.

    Returns:
        "; did you mean 'x'?" where a known name is similar, else "; known are: a, b, c". Of more
        than 20 names the first 20 are listed; of more than 100,000 names, or of none, nothing is
        said.

    Example:
        >>> did_you_mean("yeer", ["id", "year"])
        "; did you mean 'year'?"
        >>> did_you_mean("price", ["id", "year"])
        '; known are: id, year'
    """
    from difflib import get_close_matches

    name = str(name)[:LONGEST_NAME]
    names = [each for each in known if each not in RESERVED]
    if not names or len(names) > MAX_COMPARED:
        return ""
    folded = {each.casefold(): each for each in reversed(names)}
    similar = get_close_matches(name.casefold(), folded, n=1, cutoff=SIMILARITY)
    if similar:
        return f"; did you mean {shown(folded[similar[0]])}?"
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return f"; known are: {', '.join(cut(each) for each in names[:MAX_LISTED])}{more}"
