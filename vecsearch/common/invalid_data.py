"""Turns Python's and Arrow's errors about a user's data into InvalidInputError."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pyarrow as pa

from vecsearch.errors import InvalidInputError


@contextlib.contextmanager
def invalid_data() -> Iterator[None]:
    """Raise InvalidInputError for data that is nested too deeply or that Arrow refuses."""
    try:
        yield
    except RecursionError as error:
        raise InvalidInputError(
            "the data holds lists or objects nested too deeply to be read: flatten them"
        ) from error
    except pa.ArrowInvalid as error:
        raise InvalidInputError(f"the data is not valid Arrow: {error}") from error
