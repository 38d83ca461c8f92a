"""Read word vectors: word2vec text and binary, GloVe text and fastText .vec, each also gzipped.

word2vec (https://code.google.com/archive/p/word2vec): a header "count dim", then a word and its
numbers per entry, as text or as little-endian float32. GloVe
(https://nlp.stanford.edu/projects/glove): the same text without a header.
"""

from __future__ import annotations

import gzip
import io
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.errors import CorruptedError, EmbedderError
from vecsearch.types import counted

File: TypeAlias = io.BufferedReader | gzip.GzipFile
FASTTEXT_MAGIC = b"\xba\x16\x4f\x2f"  # 793712314, little-endian: a fastText model (.bin)
PICKLES = (b"\x02", b"\x03", b"\x04", b"\x05")  # versions of pickles: the byte after the first
_LINES = 10_000  # lines parsed at a time
_NUMERIC = frozenset(b"0123456789+-.eEnaif")


def read_word_vectors(path: str | Path) -> tuple[list[str], Vectors]:
    """Read a file of word vectors; the format is recognized by its content.

    Args:
        path: The file.

    Returns:
        The words, and their vectors as float32, shape (words, dim). Of a repeated word the first
        vector is used; bytes that are not UTF-8 are dropped.

    Raises:
        EmbedderError: There is no such file, or its format is unknown.
        CorruptedError: The file is damaged; the message names the word.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(b"sea 1 2\\nsun 3 4\\n")
        ...     file.flush()
        ...     read_word_vectors(file.name)[0]
        ['sea', 'sun']
    """
    source = Path(path)
    if not source.is_file():
        raise EmbedderError(f"there is no file of word vectors at '{source}'")
    try:
        with _open(source) as file:
            first = file.readline()
            if first[:1] == b"\x80" and first[1:2] in PICKLES:
                raise EmbedderError(
                    f"'{source}' is a pickle, such as gensim's save() writes; it is not loaded, as "
                    "a pickle may run any code",
                    hint="write the vectors with model.wv.save_word2vec_format(path, binary=True)",
                )
            header = _header(first)
            if header is None:
                words, vectors = _read_text(file, first, source, None)
            elif _looks_binary(file, header[1]):
                words, vectors = _read_binary(file, *header, source)
            else:
                words, vectors = _read_text(file, b"", source, header)
    except EOFError as error:
        raise CorruptedError(f"'{source}' ends early: {error}") from error
    return _distinct(words, vectors)


def is_fasttext_model(path: str | Path) -> bool:
    """Whether the file is a fastText .bin, which contains n-grams too."""
    with Path(path).open("rb") as file:
        return file.read(4) == FASTTEXT_MAGIC


def _open(source: Path) -> File:
    with source.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.GzipFile(source) if zipped else source.open("rb")


def _header(line: bytes) -> tuple[int, int] | None:
    """(count, dim) of a word2vec header; None for a GloVe file, which has no header."""
    parts = line.split()
    if len(parts) == 2 and parts[0].isdigit() and parts[1].isdigit() and int(parts[1]) > 0:
        return int(parts[0]), int(parts[1])
    return None


def _looks_binary(file: File, dim: int) -> bool:
    """Whether raw floats follow the first word, rather than `dim` numbers in digits."""
    start = file.tell()
    numbers = file.readline(1024 + 40 * dim).rsplit(None, dim)[-dim:]
    file.seek(start)
    return len(numbers) < dim or not set(b"".join(numbers)) <= _NUMERIC


def _read_binary(file: File, count: int, dim: int, source: Path) -> tuple[list[str], Vectors]:
    vectors = np.empty((count, dim), dtype=np.float32)
    words: list[str] = []
    data = b""
    start, size = 0, 4 * dim
    for row in range(count):
        space = data.find(b" ", start)
        if space < 0 or len(data) < space + 1 + size:
            data = data[start:] + file.read(1 << 24)
            start, space = 0, data.find(b" ")
        if space < 0 or len(data) < space + 1 + size:
            raise CorruptedError(
                f"'{source}' ends at word {row} of the {count} its header promises"
            )
        words.append(data[start:space].lstrip(b"\n").decode("utf-8", errors="ignore"))
        vectors[row] = np.frombuffer(data, dtype="<f4", count=dim, offset=space + 1)
        start = space + 1 + size
    return words, vectors


def _read_text(
    file: File, first: bytes, source: Path, header: tuple[int, int] | None
) -> tuple[list[str], Vectors]:
    """Read text; `first` is a line already read. Without a header it shows the dimension."""
    dim = header[1] if header is not None else len(first.split()) - 1
    if dim < 1:
        raise EmbedderError(
            f"'{source}' contains no word vectors: its first line is {first[:80]!r}"
        )
    words: list[str] = []
    blocks: list[Vectors] = []
    lines = [first] if first else []
    while lines := lines + list(islice(file, _LINES - len(lines))):
        blocks.append(_parse(lines, dim, words, source))
        lines = []
    vectors = np.concatenate(blocks) if blocks else np.empty((0, dim), dtype=np.float32)
    if header is not None and len(words) < header[0]:
        raise CorruptedError(
            f"'{source}' ends at word {len(words)} of the {header[0]} its header promises"
        )
    return words, vectors


def _parse(lines: list[bytes], dim: int, words: list[str], source: Path) -> Vectors:
    """Append the lines' words to `words` and return their numbers.

    A word may contain spaces, so the numbers are counted from the right.
    """
    out = np.empty((len(lines), dim), dtype=np.float32)
    for row, line in enumerate(lines):
        word, _, numbers = line.rstrip().partition(b" ")
        values = numbers.split()
        if len(values) != dim:
            word, *values = line.rstrip().rsplit(None, dim)
        try:
            if len(values) != dim:
                raise ValueError(f"it has {len(values)}")
            out[row] = values
        except ValueError as error:
            number = len(words) + 1
            raise CorruptedError(
                f"'{source}': word {number} ({word[:40]!r}) does not have "
                f"{counted(dim, 'number')}: {error}"
            ) from error
        words.append(word.decode("utf-8", errors="ignore"))
    return out


def _distinct(words: list[str], vectors: Vectors) -> tuple[list[str], Vectors]:
    first: dict[str, int] = {}
    for row, word in enumerate(words):
        first.setdefault(word, row)
    if len(first) == len(words):
        return words, vectors
    return list(first), vectors[list(first.values())]
