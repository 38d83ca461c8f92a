"""Checks of arguments that several public functions take."""

from __future__ import annotations

import operator
import re
from numbers import Real

from vecsearch.errors import InvalidInputError
from vecsearch.types import Metric


def parse_bytes(memory: int | str | None) -> int | None:
    """A memory limit in bytes.

    Args:
        memory: A number of bytes, or text such as "512MB" or "2GB" (powers of 1000) or "2GiB"
            (powers of 1024). None means no limit.

    Returns:
        The number of bytes, or None.

    Raises:
        InvalidInputError: The text cannot be read.

    Example:
        >>> parse_bytes("2GB"), parse_bytes("1KiB")
        (2000000000, 1024)
    """
    if memory is None or isinstance(memory, int):
        return memory
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", memory.lower())
    if match is None:
        raise InvalidInputError(
            f"memory is {memory!r}; give bytes, or text such as '512MB' or '2GB'"
        )
    number, power, binary = match.groups()
    return int(
        float(number) * (1024 if binary else 1000) ** ("kmgt".index(power) + 1 if power else 0)
    )


def parse_metric(metric: str | Metric) -> Metric:
    """The metric of a name, or InvalidInputError with all names."""
    try:
        return Metric(metric)
    except ValueError as error:
        raise InvalidInputError(
            f"metric is {metric!r}; it must be one of {', '.join(Metric)}"
        ) from error


def check_recall(recall: float) -> None:
    """Raise InvalidInputError unless the recall is above 0 and at most 1."""
    if type(recall) is float and 0 < recall <= 1:
        return  # the fast case: this runs for every search
    if not isinstance(recall, Real) or isinstance(recall, bool) or not 0 < recall <= 1:
        raise InvalidInputError(
            f"recall is {recall!r}; it must be above 0 and at most 1, such as 0.95"
        )


def check_k(k: int) -> int:
    """`k` as an int, or InvalidInputError unless it is a whole number from 1."""
    try:
        number = operator.index(k)
    except TypeError as error:
        raise InvalidInputError(f"k is {k!r}; it must be a whole number") from error
    if number < 1:
        raise InvalidInputError(f"k is {number}; it must be 1 or more")
    return number
