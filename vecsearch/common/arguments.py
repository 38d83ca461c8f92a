"""Checks of arguments that several public functions take. All raise InvalidInputError."""

from __future__ import annotations

import math
import operator
import re
from numbers import Real
from typing import Any, SupportsIndex

from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.types import ID, RESERVED, VECTOR, Metric


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
    number, prefix, binary = match.groups()
    power = "kmgt".index(prefix) + 1 if prefix else 0
    return int(float(number) * (1024 if binary else 1000) ** power)


def parse_metric(metric: str | Metric) -> Metric:
    """The metric of a name."""
    try:
        return Metric(metric)
    except ValueError as error:
        raise InvalidInputError(
            f"metric is {metric!r}; it must be one of {', '.join(Metric)}"
        ) from error


def check_recall(recall: float) -> None:
    """Check that a recall is above 0 and at most 1."""
    if type(recall) is float and 0 < recall <= 1:
        return  # fast path: every search checks its recall
    if not isinstance(recall, Real) or isinstance(recall, bool) or not 0 < recall <= 1:
        raise InvalidInputError(
            f"recall is {recall!r}; it must be above 0 and at most 1, such as 0.95"
        )


def check_k(k: int) -> int:
    """A number of hits as an int; it must be at least 1."""
    try:
        number = operator.index(k)
    except TypeError as error:
        raise InvalidInputError(f"k is {k!r}; it must be a whole number") from error
    if number < 1:
        raise InvalidInputError(f"k is {number}; it must be 1 or more")
    return number


def check_min_score(score: Any, metric: Metric) -> float:
    """The lowest score that a hit may have; of Euclidean distances no score is above 0."""
    number = float(score) if isinstance(score, Real) and not isinstance(score, bool) else math.nan
    if not number > -math.inf:
        raise InvalidInputError(f"min_score is {shown(score)}; it must be a number")
    if metric is Metric.L2 and number > 0:
        raise InvalidInputError(
            f"min_score is {score!r}, but an l2 score is a negative squared distance, at most 0",
            hint="for all rows within distance r give min_score=-r * r",
        )
    return number


def check_one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Check that an argument is one of a few words."""
    if value not in allowed:
        words = [repr(word) for word in allowed]
        raise InvalidInputError(
            f"{name} is {value!r}; it must be {', '.join(words[:-1])} or {words[-1]}"
        )


def check_dim(dim: Any, largest: int) -> int:
    """A dimension as an int; it must be from 1 to `largest`."""
    number = 0
    if isinstance(dim, SupportsIndex) and not isinstance(dim, bool):
        number = operator.index(dim)
    if not 1 <= number <= largest:
        raise InvalidInputError(
            f"dim is {shown(dim)}; it must be a whole number from 1 to {largest:,}"
        )
    return number


def check_keep_versions(count: Any) -> None:
    """Check how many older versions a collection keeps."""
    if not isinstance(count, int) or count < 1:
        raise InvalidInputError(f"keep_versions is {count!r}; it must be a whole number, 1 or more")
    if count >= 2**63:
        raise InvalidInputError(f"keep_versions is {shown(count)}; it must be below 2**63")


def check_text_column(name: Any) -> None:
    """Check that a text column's name is free for the user's own column."""
    if not isinstance(name, str) or name in ("", ID, VECTOR, *RESERVED):
        raise InvalidInputError(
            f"text_column is {name!r}; it must be the name of a column, and not one that "
            "vecsearch uses itself"
        )
