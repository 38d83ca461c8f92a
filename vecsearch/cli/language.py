"""Which model fits the texts that are added first, where the user named none."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from vecsearch.cli.options import DEFAULT_EMBEDDER

SAMPLE = 32  # documents that are looked at
CHARACTERS = 2000  # of each
MOST_FOREIGN = 0.3  # of the letters
_LETTER = re.compile(r"[^\W\d_]")
_NOT_LATIN = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")


def fitting_model(data: Sequence[os.PathLike[str]], text_columns: Sequence[str]) -> str:
    """The default model, or one of several languages that is here if the texts are not English.

    A warning says which one was taken. Languages are told by their letters: those of Latin letters
    are taken for English.

    Args:
        data: Files and folders; others are not looked at.
        text_columns: The columns of the texts, if they were named.
    """
    from vecsearch.embedders.catalog import multilingual_here

    local = [path for path in data if isinstance(path, Path) and path.exists()]
    if not local or not is_foreign(_texts(local, text_columns)):
        return DEFAULT_EMBEDDER
    here = multilingual_here()
    if not here:
        return DEFAULT_EMBEDDER  # adding says what does not fit, and what to install
    warnings.warn(
        f"the texts are not English, so the collection gets the model {here[0].name} "
        f"({here[0].languages}); --embedder chooses another",
        stacklevel=2,
    )
    return here[0].name


def is_foreign(texts: Iterable[str]) -> bool:
    """Whether many letters of texts are not Latin ones.

    Example:
        >>> is_foreign(["如何找回密码"]), is_foreign(["How to get it back, naïvely"])
        (True, False)
    """
    letters = foreign = 0
    for text in texts:
        letters += len(_LETTER.findall(text))
        foreign += len(_NOT_LATIN.findall(text))
    return foreign > MOST_FOREIGN * letters


def _texts(data: Sequence[Path], text_columns: Sequence[str]) -> list[str]:
    """The beginnings of the first texts; none where the data cannot be read: adding it says why."""
    import pyarrow as pa

    from vecsearch.errors import VecsearchError
    from vecsearch.ingest.sources import open_source
    from vecsearch.ingest.sources.reading import reading_options
    from vecsearch.types import TEXT

    column = text_columns[-1] if text_columns else TEXT
    found: list[str] = []
    with contextlib.suppress(VecsearchError, OSError, pa.ArrowException):
        reading = reading_options("skip", None, {})
        source = open_source(data, batch_rows=SAMPLE, text_column=column, reading=reading)
        for batch in islice(source.batches, 1):
            if column in batch.schema.names:
                values = batch.column(column).slice(0, SAMPLE).to_pylist()
                found += [value[:CHARACTERS] for value in values if isinstance(value, str)]
    return found
