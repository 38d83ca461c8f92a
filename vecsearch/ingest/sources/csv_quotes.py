"""Empty cells in quotes, which Python's csv module does not tell from empty cells without.

An empty cell is a missing value, and "" an empty text, as PostgreSQL and Polars read them
and as `export` writes them.
"""

from __future__ import annotations

import re


class _Quoted(str):
    """The text of an empty cell in quotes, known by its identity."""


QUOTED = _Quoted("")
MARK = "\udfff"  # half a character, which no file has once it is decoded


class QuotedEmpty:
    """Puts a mark into the empty quoted cells of lines of CSV.

    Args:
        delimiter: What separates the cells.
        quote: What encloses a cell.
    """

    def __init__(self, delimiter: str, quote: str) -> None:
        self._delimiter, self._quote = delimiter, quote
        mark, end = re.escape(quote), rf"(?={re.escape(delimiter)}|[\r\n]|$)"
        self._empty = re.compile(mark * 2 + end)
        self._rest = re.compile(rf"(?:[^{mark}]|{mark}{mark})*+{mark}")  # of a quoted cell

    def marked(self, line: str, inside: bool) -> str:
        """The line with its marks; itself if it has no such cell.

        Args:
            line: A line.
            inside: Whether it begins in a quoted cell, which an earlier line opened.
        """
        if self._empty.search(line) is None:
            return line
        at, done, parts = 0, 0, []
        while True:
            if not inside and self._empty.match(line, at):
                parts += [line[done : at + 1], MARK]
                done = at + 1
            if inside or line.startswith(self._quote, at):
                rest = self._rest.match(line, at if inside else at + 1)
                if rest is None:
                    break
                at, inside = rest.end(), False
            at = line.find(self._delimiter, at) + 1
            if not at:
                break
        return "".join([*parts, line[done:]]) if parts else line
