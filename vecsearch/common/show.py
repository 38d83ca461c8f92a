"""Values in messages, cut short."""

from __future__ import annotations

from collections.abc import Sized

LONGEST = 80
LONGEST_ID = 120  # characters


def shown(value: object, longest: int = LONGEST) -> str:
    """The `repr` of a value, at most `longest` characters; its type where it has no repr.

    Example:
        >>> shown("a" * 100, 10)
        "'aaaaaa..."
    """
    if hasattr(value, "shape") or (hasattr(value, "__len__") and not isinstance(value, str)):
        try:
            length = len(value) if isinstance(value, Sized) else 0
            text = repr(value) if length <= longest else ""
        except Exception:
            text = ""
        if not text or len(text) > longest or "\n" in text:
            return f"a {type(value).__name__}"
        return text
    try:
        text = repr(value[: longest + 1] if isinstance(value, str) else value)
    except Exception:
        return f"a {type(value).__name__}"
    return cut(text, longest)


def cut(text: str, longest: int = LONGEST) -> str:
    """A text, at most `longest` characters of it.

    Example:
        >>> cut("a" * 100, 10)
        'aaaaaaa...'
    """
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def first_line(error: object) -> str:
    """The first line of what another library said, or the error's type where it said nothing.

    Example:
        >>> first_line(OSError("no such model.\\ntry another"))
        'no such model'
    """
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")


def shown_id(value: object) -> str:
    """An id as Python writes it, cut short in the middle, as long ids often begin alike."""
    if isinstance(value, str | bytes) and len(value) > 2 * LONGEST_ID:
        value = value[:LONGEST_ID]  # the whole of a long one need not be written out
        return f"{value!r}…"
    text = repr(value)
    return text if len(text) <= LONGEST_ID else f"{text[: LONGEST_ID - 30]}…{text[-29:]}"
