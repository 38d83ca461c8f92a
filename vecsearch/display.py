"""Results for people: tables and fields as text of a fixed width, and as HTML for notebooks.

What is shown may come from anybody's documents. Text shows control characters instead of sending
them to a terminal, and HTML is escaped.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

WIDTH = 80  # cells of a table in text
# Control characters, with which a text could clear the screen or set the window's title, and those
# that change the direction of the text after them.
CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_SPACES = re.compile(r"\s+")
_CELL = "text-align:{}"


def visible(text: str) -> str:
    """The text with control characters as Python writes them, such as \\x1b."""
    return CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str, cells: int | None = None) -> str:
    """A text on one line: white space becomes a blank, control characters are shown.

    Args:
        text: Any text.
        cells: Cells of a terminal that it may take; a longer one is cut and ends in "…".

    Example:
        >>> one_line("a\\n b", 80), one_line("abcdef", 4)
        ('a b', 'abc…')
    """
    if cells is not None:
        text = text[: 8 * cells + 80]  # the rest of a long one need not be looked at
    line = visible(_SPACES.sub(" ", text).strip())
    return line if cells is None else fitted(line, cells)


def fitted(line: str, cells: int) -> str:
    """A line that takes at most so many cells; a longer one is cut and ends in "…"."""
    if width_of(line) <= cells:
        return line
    room = cells - 1
    for at, character in enumerate(line):
        room -= width_of(character)
        if room < 0:
            return line[:at].rstrip() + "…"
    return line


def width_of(text: str) -> int:
    """Cells of a terminal that a line takes: Chinese characters take two, accents none."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(character) or unicodedata.category(character) == "Cf"
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def value_text(value: object) -> str:
    """A value of a column, as a cell shows it: nothing for None, JSON for nested values.

    Times are shown to the minute.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e15 else str(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, Mapping | list | tuple):
        try:
            return json.dumps(value, ensure_ascii=False, default=str)
        except (TypeError, ValueError):
            return str(value)
    return str(value)


def text_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()
) -> str:
    """A table as text; the last column is not filled up.

    Args:
        head: The names of the columns.
        rows: Their cells, each a line.
        numbers: The columns to align on the right.

    Example:
        >>> print(text_table(["n", "word"], [["7", "a"], ["10", "bee"]], [0]))
         n  word
         7  a
        10  bee
    """
    lines = [list(head), *(list(row) for row in rows)]
    right = set(numbers)
    widths = [max(width_of(line[at]) for line in lines) for at in range(len(head))]
    return "\n".join(
        "  ".join(
            _filled(cell, width, at in right)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _filled(cell: str, width: int, right: bool) -> str:
    blanks = " " * (width - width_of(cell))
    return blanks + cell if right else cell + blanks


def text_fields(fields: Mapping[str, object], width: int = WIDTH) -> str:
    """Names and values, one pair a line; None is left out, and long values go on below.

    Example:
        >>> print(text_fields({"documents": 8000, "chunker": None, "dim": 2}))
        documents  8,000
        dim        2
    """
    shown = {name: field_text(value) for name, value in fields.items() if value is not None}
    room = max((width_of(name) for name in shown), default=0)
    lines = []
    for name, value in shown.items():
        first, *others = wrapped(one_line(value), width - room - 2) or [""]
        lines.append(f"{_filled(name, room, False)}  {first}".rstrip())
        lines += [" " * (room + 2) + other for other in others]
    return "\n".join(lines)


def field_text(value: object) -> str:
    """The value of a field: whole numbers with thousands separators."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value_text(value)


def wrapped(line: str, room: int) -> list[str]:
    """A line as several that break at blanks, and in words only where one is too long."""
    lines, rest = [], line
    while width_of(rest) > room:
        end = used = 0
        while used + width_of(rest[end]) <= room:
            used += width_of(rest[end])
            end += 1
        blank = rest.rfind(" ", 1, end + 1)
        end = blank if blank > 0 else max(end, 1)
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [*lines, rest]


def html_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str | Html]],
    numbers: Iterable[int] = (),
    caption: str = "",
) -> str:
    """The same as `text_table`, as HTML: whatever the cells hold is shown, not obeyed."""
    right = set(numbers)
    aligned = [_CELL.format("right" if at in right else "left") for at in range(len(head))]
    names = "".join(
        f'<th style="{style}">{html_text(name)}</th>'
        for name, style in zip(head, aligned, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{style}">{cell if isinstance(cell, Html) else html_text(cell)}</td>'
            for cell, style in zip(row, aligned, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    above = f"<div>{html_text(caption)}</div>" if caption else ""
    return f"<div>{above}<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>"


def html_fields(fields: Mapping[str, object], caption: str = "") -> str:
    """The same as `text_fields`, as HTML."""
    style = _CELL.format("left")
    body = "".join(
        f'<tr><th style="{style}">{html_text(name)}</th>'
        f'<td style="{style}">'
        f"{value if isinstance(value, Html) else html_text(field_text(value))}</td></tr>"
        for name, value in fields.items()
        if value is not None
    )
    above = f"<div>{html_text(caption)}</div>" if caption else ""
    return f"<div>{above}<table><tbody>{body}</tbody></table></div>"


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html_text(text: str) -> str:
    """Text as HTML that shows it."""
    return escape(visible(text))


class Shown:
    """Gives results a display in notebooks: their fields as a table."""

    __slots__ = ()

    def _shown_fields(self) -> dict[str, object]:
        """Names and values for people; those of a dataclass, if it says no other."""
        names = getattr(type(self), "__dataclass_fields__", {})
        return {name.replace("_", " "): getattr(self, name) for name in names if names[name].repr}

    def _repr_html_(self) -> str:
        values: dict[str, Any] = {}
        for name, value in self._shown_fields().items():
            values[name] = str(value) if hasattr(value, "__dataclass_fields__") else value
        return html_fields(values, type(self).__name__)
