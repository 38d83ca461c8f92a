"""Suggestions for names that are not known: "did you mean"."""

from __future__ import annotations

from collections.abc import Sequence

from vecsearch.types import RESERVED


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    from difflib import get_close_matches

    visible = [known for known in names if known not in RESERVED]
    close = get_close_matches(name, visible, 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(visible)}"
