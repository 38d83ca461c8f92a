"""How the texts of a collection are split: what a chunker offers to `passages.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vecsearch.ingest.heads import Heads

Split = Callable[[str], Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class Splitting:
    """How the texts of a collection are split.

    Attributes:
        split: The chunker's `split`.
        below: The same for a title, which stands in another column, and the text below it; None
            leaves no room for titles.
        fits: Tells which texts stay whole, those of several columns joined; None asks `split` of
            each column.
        heads: Finds what stands over the passages of a text, below a title of the document; None
            if that is not embedded with them.
        outlines: Whether pages and source code are split by themselves.
    """

    split: Split
    below: Callable[[str, str], Sequence[tuple[int, int]]] | None = None
    fits: Callable[[Sequence[str | None]], Sequence[bool]] | None = None
    heads: Callable[[str, str], Heads] | None = None
    outlines: bool = True
