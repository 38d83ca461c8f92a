"""Values as messages show them."""

from __future__ import annotations

MAX_SHOWN = 120  # characters


def shown(value: object) -> str:
    """The value as Python writes it, cut short in the middle where it is long."""
    if isinstance(value, str | bytes) and len(value) > 2 * MAX_SHOWN:
        value = value[:MAX_SHOWN]  # the whole of a long one need not be written out
        return f"{value!r}…"
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 30]}…{text[-29:]}"
