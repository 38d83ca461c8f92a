"""Checks of input that several embedders share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vecsearch.errors import InvalidInputError


def strings(items: Sequence[Any], name: str) -> list[str]:
    """The items as a list of strings.

    Raises:
        InvalidInputError: An item is not a string; the message names its row and the embedder.
    """
    for row, item in enumerate(items):
        if not isinstance(item, str):
            raise InvalidInputError(
                f"row {row}: '{name}' embeds strings, not {type(item).__name__}"
            )
    return list(items)
