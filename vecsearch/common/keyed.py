"""Documents of embedders that look vectors up by id: the id and the text in one string.

An embedder says so by the attribute `embeds_ids = True`. Everything that holds texts to embed (the
cache, batches, messages) then holds these strings.
"""

from __future__ import annotations

from typing import Any, Final

SEPARATOR: Final = "\x1f"  # ASCII's unit separator


def keyed(key: Any, text: str | None) -> str:
    """An id and a text, perhaps none, as one string.

    Example:
        >>> split_keyed(keyed(10, "a boat"))
        ('10', 'a boat')
    """
    return f"{key}{SEPARATOR}{text or ''}"


def split_keyed(value: Any) -> tuple[str, str]:
    """The id and the text that `keyed` joined; a value that it did not make is both.

    Example:
        >>> split_keyed(10)
        ('10', '10')
    """
    first, separator, rest = str(value).partition(SEPARATOR)
    return (first, rest) if separator else (first, first)


def embeds_ids(embedder: Any) -> bool:
    """Whether an embedder looks vectors up by id."""
    return getattr(embedder, "embeds_ids", False) is True
