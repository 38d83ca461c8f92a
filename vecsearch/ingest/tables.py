"""The tables of a text, so that a part of one can be read with its header row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_DELIMITER_ROW = re.compile(r"^ {0,3}\|? *:?-+:? *(\| *:?-+:? *)*\|? *$")
_SEPARATORS = "\t;,"
_FEWEST_ROWS = 3


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a text.

    Attributes:
        start: The first character of its header.
        body: The first character of the rows below the header.
        end: The character after the last row.
        header: The header row.
    """

    start: int
    body: int
    end: int
    header: str


def find_tables(text: str) -> list[Table]:
    r"""Markdown tables, and blocks of lines with the same number of cells.

    Example:
        >>> find_tables("name,price\\npear,2\\nplum,1")
        [Table(start=0, body=11, end=24, header='name,price')]
    """
    return list(_tables(text))


def _tables(text: str) -> Iterator[Table]:
    start = 0
    block: list[tuple[int, str]] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            block.append((start, line))
        elif block:
            yield from _tables_of(block)
            block = []
        start += len(line) + 1


def _tables_of(block: Sequence[tuple[int, str]]) -> Iterator[Table]:
    """The tables in a block of lines without an empty one."""
    for number, (_, line) in enumerate(block[1:], 1):
        if _DELIMITER_ROW.match(line) and "|" in block[number - 1][1] and "-" in line:
            last = number + 1
            while last < len(block) and "|" in block[last][1]:
                last += 1
            if last > number + 1:
                header = block[number - 1][1].strip()
                end = block[last - 1][0] + len(block[last - 1][1])
                yield Table(block[number - 1][0], block[number + 1][0], end, header)
    if len(block) < _FEWEST_ROWS or "|" in block[0][1]:
        return
    for separator in _SEPARATORS:
        if _is_separated([line for _, line in block], separator):
            end = block[-1][0] + len(block[-1][1])
            yield Table(block[0][0], block[1][0], end, block[0][1].strip())
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
