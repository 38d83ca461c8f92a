"""What stands over a passage: the headings of its section, and the header row of its table.

A passage from the middle of a document says little without them, so they are put before it when it
is embedded. They are not a part of the passage, whose span stays that of its own text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

from vecsearch.ingest.headings import Heading, find_headings
from vecsearch.ingest.sentences import line_ends
from vecsearch.ingest.tables import find_tables

LONGEST_HEAD = 400  # characters
LONGEST_TITLE = 120
SEPARATOR = " > "


class Heads:
    """The headings and tables of one document.

    Args:
        text: The document.
        title: What stands over all of it, such as the text of a column `title`.
        fits: Whether a head is short enough beside its passage; the outermost headings are left out
            of one that is not, and then the header row of its table.

    Example:
        >>> text = "# Food\\n\\n## Cake\\n\\nFlour and sugar."
        >>> Heads(text).at(text.index("Flour"))
        'Food > Cake'
    """

    def __init__(
        self, text: str, title: str = "", fits: Callable[[str], bool] = lambda head: True
    ) -> None:
        self._fits = fits
        self._known: dict[tuple[str, ...], str] = {}
        lines = line_ends(text)
        self.title = _shortened(title)
        self.headings = find_headings(lines)
        self._starts = [heading.start for heading in self.headings]
        self._over = list(_stacks(self.headings))
        self.tables = find_tables(lines)

    def __bool__(self) -> bool:
        return bool(self.title or self.headings or self.tables)

    def at(self, start: int) -> str:
        """What stands over a passage that begins at a position; "" if nothing does."""
        titles = [self.title] if self.title else []
        titles += [_shortened(title) for title in self._titles(start)]
        parts = (*titles, self._header(start))
        if parts not in self._known:
            self._known[parts] = self._fitting(titles, parts[-1])
        return self._known[parts]

    def _fitting(self, titles: Sequence[str], header: str) -> str:
        """The longest head that fits."""
        for last in (header, ""):
            for first in range(len(titles) + 1):
                parts = [SEPARATOR.join(titles[first:]), last]
                head = "\n".join(part for part in parts if part)
                if head and len(head) <= LONGEST_HEAD and self._fits(head):
                    return head
        return ""

    def _titles(self, start: int) -> Sequence[str]:
        """The headings over a position, without one that begins there."""
        number = bisect_right(self._starts, start) - 1
        if number < 0:
            return []
        heading, stack = self.headings[number], self._over[number]
        titles = [above.title for above in stack if above.title]
        if heading.end <= start and heading.title:
            titles.append(heading.title)
        return titles

    def _header(self, start: int) -> str:
        for table in self.tables:
            if table.body <= start < table.end:
                return table.header
        return ""


def with_head(head: str | None, passage: str) -> str:
    """What is embedded of a passage.

    Example:
        >>> with_head("Food > Cake", "Flour and sugar.")
        'Food > Cake\\nFlour and sugar.'
    """
    return f"{head}\n{passage}" if head else passage


def _shortened(title: str) -> str:
    title = " ".join(title.split())
    return title if len(title) <= LONGEST_TITLE else f"{title[:LONGEST_TITLE].rstrip()}…"


def _stacks(headings: Sequence[Heading]) -> Iterator[tuple[Heading, ...]]:
    """The headings over each one."""
    stack: list[Heading] = []
    for heading in headings:
        while stack and stack[-1].level >= heading.level:
            stack.pop()
        yield tuple(stack)
        stack.append(heading)
