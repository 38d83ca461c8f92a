"""What is trained on: data of any kind that `Collection.add` takes, as texts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.whole_table import as_table

if TYPE_CHECKING:
    import pyarrow as pa

LINES = (".txt", ".text", ".cor", ".txt.gz")  # files with a text in each line
Text = str | list[str]
"""A text, or the list of its words."""


def as_texts(data: Any, *, text_column: str = "text") -> list[Text]:
    """Read all texts of data of any kind that `Collection.add` takes.

    Args:
        data: What `as_table` takes, with a column of texts or of lists of words; a list or
            iterator of lists of words; or the path of a text file with one text in each line.
        text_column: The column with the texts; rows without one are left out.

    Returns:
        The texts; those that were given as words are lists of words.

    Raises:
        InvalidInputError: The data is of another kind, there is no such column, or no text.

    Example:
        >>> as_texts([["the", "sea"], ["the", "sun"]])
        [['the', 'sea'], ['the', 'sun']]
    """
    import pyarrow as pa

    words, data = _word_lists(data)
    if words is not None:
        return words
    table = as_table(data, text_column=text_column)
    if text_column not in table.column_names:
        meant = did_you_mean(text_column, table.column_names)
        raise InvalidInputError(
            f"the data has no column {shown(text_column)}{meant}",
            hint="text_column= names the column with the texts",
            command_hint="--text-column names the column with the texts",
        )
    column = table[text_column]
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    inner = kind.value_type if is_list else kind
    if not _is_text(inner):
        raise InvalidInputError(
            f"column '{text_column}' holds {kind}; it must hold texts or lists of words"
        )
    texts = [text for text in column.to_pylist() if text]
    if is_list:
        texts = [[word for word in text if word is not None] for text in texts]
    if _has_lines(data):
        texts = [line for text in texts for line in text.splitlines() if line.strip()]
    if not texts:
        raise InvalidInputError(f"nothing to train on: column '{text_column}' has no text")
    return texts


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _word_lists(data: Any) -> tuple[list[Text] | None, Any]:
    """The lists of words, if the data is these; and the data, whose first item was looked at."""
    if not isinstance(data, list | tuple | Iterator) or isinstance(data, str):
        return None, data
    items: Iterable[Any] = data
    if isinstance(data, Iterator):
        first = next(data, None)
        items = data = chain([] if first is None else [first], data)
    else:
        first = data[0] if data else None
    if not _is_words(first):
        return None, data
    texts: list[Text] = []
    for number, item in enumerate(items):
        if not _is_words(item):
            raise InvalidInputError(
                f"text {number} is of type {type(item).__name__}; the first one is a list of words"
            )
        texts.append(list(item))
    return texts, data


def _is_words(item: Any) -> bool:
    return isinstance(item, list | tuple) and bool(item) and all(isinstance(w, str) for w in item)


def _has_lines(data: Any) -> bool:
    """Whether the data is the path of one text file, which has a text in each line."""
    is_path = isinstance(data, str | os.PathLike)
    return is_path and os.fspath(data).lower().endswith(LINES) and Path(data).is_file()
