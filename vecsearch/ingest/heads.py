"""What stands over a passage: the headings of its section, and the header row of its table.

A passage from the middle of a document says little without them, so they are put before it when it
is embedded. They are not a part of the passage, whose span stays that of its own text.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vecsearch.ingest.headings import Heading, find_headings
from vecsearch.ingest.sentences import line_ends

LONGEST_HEAD = 400  # characters
LONGEST_TITLE = 120
SEPARATOR = " > "
_DELIMITER_ROW = re.compile(r"^ {0,3}\|? *:?-+:? *(\| *:?-+:? *)*\|? *$")
_SEPARATORS = "\t;,"
_FEWEST_ROWS = 3


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a text: where it is, where its rows after the header begin, and the header."""

    start: int
    body: int
    end: int
    header: str


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
        self.tables = list(_tables(lines))

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
                if len(head) <= LONGEST_HEAD and (not head or self._fits(head)):
                    if head or not titles:
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


def _tables(text: str) -> Iterator[_Table]:
    """Markdown tables, and blocks of lines with the same number of cells."""
    start = 0
    block: list[tuple[int, str]] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            block.append((start, line))
        elif block:
            yield from _tables_of(block)
            block = []
        start += len(line) + 1


def _tables_of(block: Sequence[tuple[int, str]]) -> Iterator[_Table]:
    """The tables in a block of lines without an empty one."""
    for number, (_, line) in enumerate(block[1:], 1):
        if _DELIMITER_ROW.match(line) and "|" in block[number - 1][1] and "-" in line:
            last = number + 1
            while last < len(block) and "|" in block[last][1]:
                last += 1
            if last > number + 1:
                header = block[number - 1][1].strip()
                end = block[last - 1][0] + len(block[last - 1][1])
                yield _Table(block[number - 1][0], block[number + 1][0], end, header)
    if len(block) < _FEWEST_ROWS or "|" in block[0][1]:
        return
    for separator in _SEPARATORS:
        if _is_separated([line for _, line in block], separator):
            end = block[-1][0] + len(block[-1][1])
            yield _Table(block[0][0], block[1][0], end, block[0][1].strip())
            return


def _is_separated(lines: Sequence[str], separator: str) -> bool:
    """Whether lines are rows of one table: as many cells in each, and no sentences."""
    header = lines[0]
    if separator not in header or re.search(r"[.!?。！？]\s*$", header):
        return False
    if f"{separator} " in header and (header.count(separator) < 2 or len(lines) < 4):
        return False  # a comma and a space are also in sentences and verses
    try:
        counts = {len(row) for row in csv.reader(lines, delimiter=separator)}
    except csv.Error:
        return False
    return len(counts) == 1
