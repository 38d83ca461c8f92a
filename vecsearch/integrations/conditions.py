"""Conditions of other libraries as vecsearch's SQL.

What these functions return is either TRUE or FALSE, never NULL, so that NOT, AND and OR mean what
they mean in Python. A condition on a missing value is FALSE; `differs` is TRUE there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from vecsearch.errors import FilterError

TRUE = "1 = 1"
FALSE = "1 = 0"


def quoted(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def named(column: str) -> str:
    """A column's name in SQL."""
    return '"' + column.replace('"', '""') + '"'


def path(column: str, keys: Iterable[str]) -> str:
    """A path into a JSON column, such as `"metadata"['lang']`."""
    return named(column) + "".join(f"[{quoted(key)}]" for key in keys)


def literal(value: Any) -> str:
    """A Python value as a SQL literal; raises FilterError for what has none."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    raise FilterError(
        f"a filter cannot compare with {value!r}",
        hint="compare with a text, a finite number or a boolean",
    )


def is_null(place: str) -> str:
    """The value is missing."""
    return f"({place} IS NULL)"


def equals(place: str, value: Any) -> str:
    """Equal as in Python; a missing value equals None only."""
    if value is None:
        return is_null(place)
    return f"(({place} = {literal(value)}) IS TRUE)"


def differs(place: str, value: Any) -> str:
    """Not equal as in Python, so also where the value is missing or of another type."""
    return f"(NOT {equals(place, value)})"


def compares(place: str, operator: str, value: Any) -> str:
    """One of < <= > >=. Nothing is before or after None."""
    if value is None:
        return f"({FALSE})"
    return f"(({place} {operator} {literal(value)}) IS TRUE)"


def one_of(place: str, values: Iterable[Any]) -> str:
    """Equal to one of some values."""
    return any_of(equals(place, value) for value in values)


def has_item(place: str, value: Any) -> str:
    """The value is a list with this item."""
    return f"(array_contains({place}, {literal(value)}) IS TRUE)"


def has_text(place: str, text: str, *, any_case: bool = False) -> str:
    """The value is a text with this part."""
    if any_case:
        place, text = f"lower({place})", text.lower()
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return f"(({place} LIKE {quoted(f'%{text}%')} ESCAPE '!') IS TRUE)"


def is_blank(place: str) -> str:
    """The value is missing, an empty text or an empty list."""
    return f"({place} IS NULL OR ((length({place}) = 0) IS TRUE))"


def all_of(parts: Iterable[str]) -> str:
    """AND; TRUE of nothing."""
    return _joined(list(parts), " AND ", TRUE)


def any_of(parts: Iterable[str]) -> str:
    """OR; FALSE of nothing."""
    return _joined(list(parts), " OR ", FALSE)


def none_of(part: str) -> str:
    """NOT."""
    return f"(NOT {part})"


def _joined(parts: list[str], word: str, empty: str) -> str:
    return f"({word.join(parts) or empty})"
