"""Checks of arguments that several public functions take. All raise InvalidInputError."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, SupportsIndex

from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.types import ID, RESERVED, VECTOR, Metric

MAX_REGIONS = 1000
MOST_SHARDS = 1024  # of a collection
LONGEST_SIZE = 40  # characters of a size as text


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
    if memory is None:
        return None
    if not isinstance(memory, str) and is_whole(memory) and memory >= 0:
        return int(memory)
    text = memory.lower() if isinstance(memory, str) and len(memory) <= LONGEST_SIZE else ""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text)
    if match is None:
        raise InvalidInputError(
            f"memory is {shown(memory)}; give bytes, or text such as '512MB' or '2GB'"
        )
    number, prefix, binary = match.groups()
    power = "kmgt".index(prefix) + 1 if prefix else 0
    return int(float(number) * (1024 if binary else 1000) ** power)


def parse_metric(metric: str | Metric) -> Metric:
    """The metric of a name."""
    return Metric(metric)


def check_recall(recall: float) -> float:
    """A recall as a float; it must be above 0 and at most 1."""
    if type(recall) is float and 0 < recall <= 1:
        return recall  # fast path: every search checks its recall
    if not _is_real(recall) or not 0 < recall <= 1:
        raise InvalidInputError(
            f"recall is {shown(recall)}; it must be above 0 and at most 1, such as 0.95"
        )
    return float(recall)


def check_k(k: int) -> int:
    """A number of hits as an int; it must be at least 1."""
    try:
        number = operator.index(k)
    except TypeError as error:
        raise InvalidInputError(f"k is {shown(k)}; it must be a whole number") from error
    if number < 1:
        raise InvalidInputError(f"k is {shown(number)}; it must be 1 or more")
    return number


def check_regions(count: Any) -> int:
    """Raises InvalidInputError unless the number of regions is a whole number from 0 to 1,000."""
    if not is_whole(count) or not 0 <= count <= MAX_REGIONS:
        raise InvalidInputError(
            f"regions is {shown(count)}; it must be a whole number from 0 to {MAX_REGIONS:,}"
        )
    return int(count)


def check_whole(name: str, value: Any, least: int) -> int:
    """An argument that is a whole number, `least` or more, and fits into 63 bits."""
    if not is_whole(value) or not least <= value < 2**63:
        raise InvalidInputError(
            f"{name} is {shown(value)}; it must be a whole number, {least} or more"
        )
    return int(value)


def check_seed(value: Any) -> int:
    """A seed that numpy and scikit-learn take."""
    if not is_whole(value) or not 0 <= value < 2**32:
        raise InvalidInputError(
            f"seed is {shown(value)}; it must be a whole number from 0 to {2**32 - 1:,}"
        )
    return int(value)


def check_seconds(name: str, value: Any) -> float:
    """An argument that is a time in seconds; a negative one becomes 0."""
    number = _as_float(value)
    if math.isnan(number):
        raise InvalidInputError(f"{name} is {shown(value)}; it must be a number of seconds")
    return max(number, 0.0)


def check_names(name: str, value: Any) -> list[str]:
    """An argument that is a list of names."""
    if isinstance(value, str):
        raise InvalidInputError(
            f"{name} is {shown(value)}; it must be a list of names", hint=f"give [{shown(value)}]"
        )
    try:
        names = value.to_pylist() if hasattr(value, "to_pylist") else list(value)
    except TypeError:
        names = [None]
    if not all(isinstance(each, str) for each in names):
        raise InvalidInputError(f"{name} is {shown(value)}; it must be a list of names")
    return names


def check_share(name: str, value: Any, *, such_as: float) -> float:
    """An argument between 0 and 1, without both."""
    number = _as_float(value)
    if not 0.0 < number < 1.0:
        raise InvalidInputError(
            f"{name} is {shown(value)}; it must lie between 0 and 1, such as {such_as:g}"
        )
    return number


def check_within(name: str, value: Any, least: float, most: float) -> float:
    """An argument that is a number from `least` to `most`."""
    number = _as_float(value)
    if not least <= number <= most:
        bounds = f" from {least:g} to {most:g}" if math.isfinite(most) else ""
        raise InvalidInputError(f"{name} is {shown(value)}; it must be a number{bounds}")
    return number


def check_timeout(seconds: Any) -> float:
    """A time limit in seconds, above 0."""
    number = _as_float(seconds)
    if not number > 0:
        raise InvalidInputError(
            f"timeout is {shown(seconds)}; it must be a number of seconds above 0"
        )
    return number


def is_whole(value: Any) -> bool:
    """Whether a value is an integer, of Python or NumPy."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _as_float(value: Any) -> float:
    """A number as float, infinite beyond all floats; NaN for what is no number."""
    try:
        return float(value) if _is_real(value) else math.nan
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def check_min_score(score: Any, metric: Metric, name: str = "min_score") -> float:
    """The lowest score that a hit may have; of Euclidean distances no score is above 0."""
    number = _as_float(score)
    if not number > -math.inf:
        raise InvalidInputError(f"{name} is {shown(score)}; it must be a number")
    if metric is Metric.L2 and number > 0:
        raise InvalidInputError(
            f"{name} is {shown(score)}, but an l2 score is a negative squared distance, at most 0",
            hint=f"for all rows within distance r give {name}=-r * r",
            command_hint="for all rows within distance r give -r * r",
        )
    return number


def check_one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Check that an argument is one of a few words."""
    if value not in allowed:
        words = [repr(word) for word in allowed]
        raise InvalidInputError(
            f"{name} is {shown(value)}; it must be {', '.join(words[:-1])} or {words[-1]}"
        )


def check_flag(name: str, value: object) -> bool:
    """An argument that must be True or False, of Python or NumPy."""
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name} is {shown(value)}; it must be True or False")
    return value


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


def check_keep_versions(count: Any) -> int:
    """Check how many older versions a collection keeps."""
    return check_whole("keep_versions", count, 1)


def check_shards(shards: Any, name: str = "shards") -> int:
    """How many shards a collection is to have, 1 to 1024."""
    if not is_whole(shards) or not 1 <= shards <= MOST_SHARDS:
        raise InvalidInputError(
            f"{name} is {shown(shards)}; it must be a whole number from 1 to {MOST_SHARDS:,}"
        )
    return int(shards)


def check_column_names(id_column: Any, text_column: Any, text_columns: Any) -> list[str] | None:
    """Check that names are free for the user's own columns; those of the texts.

    Args:
        id_column: The column of ids, or None.
        text_column: The column of texts, or None.
        text_columns: Several of them, or None.
    """
    if text_column is not None and text_columns is not None:
        raise InvalidInputError("create takes text_column or text_columns, one of them")
    if text_columns is None:
        names, option = ([] if text_column is None else [text_column]), "text_column"
    elif isinstance(text_columns, str) or not isinstance(text_columns, Sequence):
        raise InvalidInputError(
            f"text_columns is {shown(text_columns)}; it must be a list of column names"
        )
    else:
        names, option = list(text_columns), "text_columns"
        if not names:
            raise InvalidInputError("text_columns is empty; it must name a column")
    given = [("id_column", id_column)] if id_column is not None else []
    given += [(option, name) for name in names]
    for which, name in given:
        if not isinstance(name, str) or name in ("", VECTOR, *RESERVED):
            raise InvalidInputError(
                f"{which} is {name!r}; it must be the name of a column, and not one that "
                "vecsearch uses itself"
            )
    for name in names:
        if names.count(name) > 1 or name == (id_column or ID):
            other = "is there twice" if names.count(name) > 1 else "holds the ids"
            raise InvalidInputError(f"{option}: {name!r} {other}; name another column")
    return names or None
