"""Values of any type as types that JSON has."""

from __future__ import annotations

import base64
import datetime
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def plain(value: Any, other: Callable[[Any], Any] | None = None) -> Any:
    """A value of types that JSON has: dates in ISO 8601, bytes in base64, NaN and infinities null.

    Args:
        value: Any value, with others inside it.
        other: What becomes of values that JSON has no like of. None: durations are seconds, sets
            and numpy's arrays are lists, all else is text.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(each, other) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each, other) for each in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name), other) for each in fields(value)}
    return _other(value) if other is None else other(value)


def _other(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if hasattr(value, "tolist"):  # numpy
        return plain(value.tolist())
    return str(value)
