"""Which model fits the texts of a new collection, where the user named none."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vecsearch.cli.options import DEFAULT_EMBEDDER
from vecsearch.types import TEXT, counted

if TYPE_CHECKING:
    from vecsearch.ingest.sources.reading import Reading

Item = TypeVar("Item")
FILES = 64  # of a folder that are looked at, spread over all of it
ROWS, SAMPLE = 1024, 32  # rows that are read of a file, and those of them that are looked at
CHARACTERS = 1000  # of a text, from its beginning and again from its middle
MOST_FOREIGN = 0.3  # of the letters
# Of the texts. Below it the default finds more of the English ones, and words find the others.
MOST_FOREIGN_TEXTS = 1 / 3
FEWEST_WORDS, LEAST_SHARE = 5, 0.06  # little words of a language that tell it
FEWEST_KINDS = 3  # of these words: code and numbers repeat one or two, such as "de"
# Little words that are frequent in a language of Latin letters. English has none of the others'.
_LITTLE_WORDS = {
    "English": "the of and to that it you with are be this have not by how what from does your",
    "German": "der das und ist nicht ein eine mit für auf den dem im zu von sich wie ich man wird",
    "French": "le la les des et est une un dans que pour pas sur qui au du ce il je vous comment",
    "Spanish": "el los las la que y una un por con para del se como es de en su lo cómo",
    "Italian": "il che di la per non una un con del sono della è gli le come si da nel",
    "Portuguese": "o os que não uma um para com do da em é dos de se como na por os as",
    "Dutch": "de het een van en niet op dat ik zijn met voor je er wordt hoe te",
    "Polish": "nie na się jest z do że jak po dla od w i są co",
    "Swedish": "och att det som är inte på en ett av för till den med jag hur",
    "Danish": "og det er ikke på til en et af for den med jeg som at hvordan",
    "Turkish": "bir ve bu için ile da de çok ne gibi olarak nasıl değil daha",
    "Indonesian": "yang dan di untuk dengan tidak ini itu dari pada adalah akan bagaimana",
    "Vietnamese": "và của là không có được một cho các này trong những để người",
}
_LITTLE = {name: frozenset(words.split()) for name, words in _LITTLE_WORDS.items()}
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_NOT_LATIN = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")


def fitting_model(
    data: Sequence[os.PathLike[str]],
    text_columns: Sequence[str] = (),
    *,
    exclude: Sequence[str] = (),
    encoding: str | None = None,
    csv: Mapping[str, Any] | None = None,
) -> str:
    """The default model, or one of several languages that is here if texts are not English.

    A third of those that are looked at suffices. A warning says which model was taken.

    Args:
        data: Files and folders; others are not looked at.
        text_columns: The columns of the texts, if they were named.
        exclude: Patterns of files that are left out.
        encoding: The encoding of text files, if it was named.
        csv: How CSV files are written.
    """
    from vecsearch.embedders.catalog import multilingual_here
    from vecsearch.ingest.sources.reading import reading_options

    local = [path for path in data if isinstance(path, Path) and path.exists()]
    reading = reading_options("skip", encoding, csv, exclude)
    texts = _texts(local, text_columns[-1] if text_columns else TEXT, reading)
    foreign = sum(is_foreign([text]) for text in texts)
    are_foreign = is_foreign(texts)
    if not are_foreign and not 0 < foreign >= MOST_FOREIGN_TEXTS * len(texts):
        return DEFAULT_EMBEDDER
    here = multilingual_here()
    if not here:
        return DEFAULT_EMBEDDER  # adding says what does not fit, and what to install
    are = "is" if foreign == 1 else "are"
    some = "the texts are" if are_foreign else f"{foreign} of {counted(len(texts), 'text')} {are}"
    warnings.warn(
        f"{some} not English, so the collection gets the model {here[0].name} "
        f"(languages: {here[0].languages}); --embedder chooses another",
        stacklevel=2,
    )
    return here[0].name


def is_foreign(texts: Sequence[str]) -> bool:
    """Whether texts are not English, by their letters and their most frequent words.

    Example:
        >>> is_foreign(["如何找回密码"]), is_foreign(["How to get it back, naïvely"])
        (True, False)
        >>> is_foreign(["Wie bekomme ich das Passwort zurück, wenn es nicht mehr da ist?"])
        True
    """
    letters = sum(len(_LETTER.findall(text)) for text in texts)
    foreign = sum(len(_NOT_LATIN.findall(text)) for text in texts)
    return foreign > MOST_FOREIGN * letters or _is_latin_foreign(texts)


def _is_latin_foreign(texts: Sequence[str]) -> bool:
    """Whether little words of another language are frequent, and those of English are not."""
    words = Counter(word for text in texts for word in _WORD.findall(text.lower()))
    total = words.total()
    counts = {
        name: sum(words[word] for word in little)
        for name, little in _LITTLE.items()
        if name == "English" or len(little & words.keys()) >= FEWEST_KINDS
    }
    english = counts.pop("English")
    most = max(counts.values(), default=0)
    return most >= max(FEWEST_WORDS, LEAST_SHARE * total, 2 * english + 1)


def _texts(data: Sequence[Path], text_column: str, reading: Reading) -> list[str]:
    """Parts of texts, from all over the data.

    None of what cannot be read: adding it says why.
    """
    import pyarrow as pa

    from vecsearch.errors import VecsearchError
    from vecsearch.ingest.sources import open_source
    from vecsearch.ingest.sources.folder import files_to_read

    found: list[str] = []
    for path in data:
        files = [path]
        with contextlib.suppress(VecsearchError, OSError):
            if path.is_dir():
                files = _spread([file for _, file in files_to_read(path, reading)], FILES)
        for file in files:
            with contextlib.suppress(VecsearchError, OSError, pa.ArrowException):
                source = open_source(
                    [file], batch_rows=ROWS, text_column=text_column, reading=reading
                )
                batch = next(iter(source.batches), None)
                if batch is not None and text_column in batch.schema.names:
                    values = _spread(batch.column(text_column).to_pylist(), SAMPLE)
                    found += [_parts_of(value) for value in values if isinstance(value, str)]
    return found


def _spread(items: list[Item], count: int) -> list[Item]:
    """So many of the items, at equal distances."""
    if len(items) <= count:
        return items
    return [items[at * len(items) // count] for at in range(count)]


def _parts_of(text: str) -> str:
    """The beginning of a text and, if it is long, as much from its middle."""
    middle = max(CHARACTERS, len(text) // 2)
    return f"{text[:CHARACTERS]} {text[middle : middle + CHARACTERS]}"
