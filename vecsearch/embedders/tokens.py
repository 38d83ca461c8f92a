"""Cut texts into words, in any mix of languages, for word and document vectors.

Letters and digits between spaces and punctuation are one word, lower-cased. A run of Chinese
characters or kana has no spaces, so it is cut by a vocabulary (the longest known word at each
position) or by jieba (the extra `train`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Container, Iterable
from functools import cache
from typing import Any, Literal

from vecsearch.common.optional import require
from vecsearch.common.scripts import UNSPACED

Tokenizer = Literal["words", "jieba"]
_PIECE = re.compile(rf"[{UNSPACED}]+|(?:(?![{UNSPACED}])\w)+(?:['’](?:(?![{UNSPACED}])\w)+)*")
_IS_RUN = re.compile(rf"[{UNSPACED}]")


def has_runs(text: str) -> bool:
    """Whether a text contains Chinese characters or kana, which are written without spaces."""
    return _IS_RUN.search(text) is not None


def split(text: str, cut: Callable[[str], Iterable[str]], *, lower: bool = True) -> list[str]:
    """The words of a text in order.

    Args:
        text: Any text.
        cut: Divides a run of Chinese characters or kana into words.
        lower: Whether the other words are lower-cased.

    Returns:
        The words.

    Example:
        >>> split("Don't stop: 你好!", list)
        ["don't", 'stop', '你', '好']
    """
    words: list[str] = []
    for piece in _PIECE.findall(text):
        if _IS_RUN.match(piece):
            words.extend(cut(piece))
        else:
            words.append(piece.lower() if lower else piece)
    return words


def longest_match(run: str, known: Container[str], longest: int) -> list[str]:
    """Cut a run by forward maximum matching.

    Args:
        run: Characters without spaces.
        known: The vocabulary.
        longest: Characters of the longest word that is looked for.

    Returns:
        At each position the longest known word, else one character.

    Example:
        >>> longest_match("abcd", {"abc", "ab"}, longest=3)
        ['abc', 'd']
    """
    words, start = [], 0
    while start < len(run):
        end = min(len(run), start + longest)
        while end > start + 1 and run[start:end] not in known:
            end -= 1
        words.append(run[start:end])
        start = end
    return words


def tokenizer(name: Tokenizer) -> Callable[[str], list[str]]:
    """A function from a text to its words.

    Args:
        name: "words" cuts Chinese into single characters, "jieba" into words.

    Returns:
        The function.

    Raises:
        MissingExtraError: jieba is needed and not installed.
    """
    cut: Callable[[str], Iterable[str]] = list if name == "words" else _jieba().lcut
    return lambda text: split(text, cut)


@cache
def _jieba() -> Any:
    """A jieba of our own, so that words the user adds to the global one change no vectors."""
    jieba = require("jieba", "jieba", "train", "Cutting Chinese text into words")
    jieba.setLogLevel(logging.WARNING)
    segmenter = jieba.Tokenizer()
    segmenter.initialize()
    return segmenter
