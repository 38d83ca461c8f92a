"""Checks that several adapters share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from vecsearch.errors import InvalidInputError, MissingExtraError


def strings(items: Sequence[Any], name: str) -> list[str]:
    """The items as a list, once each is seen to be a string. Raises InvalidInputError that names the row."""
    for row, item in enumerate(items):
        if not isinstance(item, str):
            raise InvalidInputError(f"row {row}: '{name}' embeds strings, not {type(item).__name__}")
    return list(items)


def require(module: str, package: str, extra: str, what_for: str) -> Any:
    """The optional module, imported. Raises MissingExtraError with the pip command when it is not installed."""
    if find_spec(module.partition(".")[0]) is None:
        raise MissingExtraError(package, extra, what_for)
    return import_module(module)
