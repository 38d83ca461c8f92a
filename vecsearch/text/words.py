"""Fold texts and split them into words, and runs of scripts that have no spaces between words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from vecsearch.common.scripts import HANGUL, IDEOGRAPHS

# Letters and marks of scripts that are read by pairs of characters: Chinese, Japanese and Korean,
# and Thai, Lao, Burmese and Khmer, which have no spaces between words either.
PAIRED = r"\u3005-\u3007\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
PAIRED += IDEOGRAPHS + HANGUL + r"\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecf\u1000-\u103f\u1780-\u17d3"
_HAN = re.compile(f"[{IDEOGRAPHS}]")
_ASCII_WORDS = re.compile("[a-z0-9]+")
_ASCII_SPANS = re.compile("[A-Za-z0-9]+")
_MARKS_FROM, _MARKS_TO = 0x300, 0x1E950  # where Unicode has marks that belong to letters


def fold(text: str, *, simplify: bool = True) -> str:
    """A text in the form in which words are compared: NFKC, without case.

    Args:
        text: A text.
        simplify: Turn traditional Chinese characters into simplified ones.

    Example:
        >>> fold("Ｐａｓｓｗｏｒｄ Straße 檢索")
        'password strasse 检索'
    """
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if simplify and _HAN.search(text):
        text = text.translate(_simplified())
    return text


def pieces(text: str) -> list[str]:
    """The words of a folded text, and its runs of characters that are read by pairs, in order.

    Example:
        >>> pieces("iphone 15的电池, c++")
        ['iphone', '15', '的电池', 'c']
    """
    if text.isascii():
        return _ASCII_WORDS.findall(text)
    return _words().findall(text)


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where the words and runs of a text are that was not folded."""
    pattern = _ASCII_SPANS if text.isascii() else _words()
    return (found.span() for found in pattern.finditer(text))


def is_run(piece: str) -> bool:
    """Whether a piece is read by pairs of characters."""
    return piece[0] > "\u0e00" and _first_of_run().match(piece) is not None


@cache
def _first_of_run() -> re.Pattern[str]:
    return re.compile(f"[{PAIRED}]")


@cache
def _words() -> re.Pattern[str]:
    """Runs, or letters and digits with the marks that belong to them (vowels of Hindi, accents)."""
    marks = _marks()
    letter = rf"[^\W_{PAIRED}]"
    return re.compile(rf"[{PAIRED}]+|{letter}+(?:[{marks}]+{letter}*)*")


def _marks() -> str:
    """The marks of Unicode (categories Mn and Mc) as ranges of a class, without those of runs."""
    ranges: list[list[int]] = []
    run = _first_of_run()
    for code in range(_MARKS_FROM, _MARKS_TO):
        character = chr(code)
        if unicodedata.category(character) not in ("Mn", "Mc") or run.match(character):
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


@cache
def _simplified() -> dict[int, str]:
    """Traditional characters and their simplified forms, each by itself.

    Phrases are not looked at: both sides of a comparison must change in the same way, whatever
    stands beside a character.
    """
    import opencc

    converter = opencc.OpenCC("t2s")
    codes = (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000), *range(0x20000, 0x2A6E0))
    table = {}
    for code in codes:
        simple = converter.convert(chr(code))
        if len(simple) == 1 and ord(simple) != code:
            table[code] = simple
    return table
