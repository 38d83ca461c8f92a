"""Texts to words, in any mix of languages: what word and document vectors are trained on and looked up by.

Letters and digits between spaces and punctuation are one word, lower-cased. A run of Chinese characters or kana has no
spaces, so it is cut either by the vocabulary at hand (the longest known word first) or by jieba (the extra `train`).
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
    """Whether a text holds Chinese characters or kana, which spaces do not divide into words."""
    return _IS_RUN.search(text) is not None


def split(text: str, cut: Callable[[str], Iterable[str]], *, lower: bool = True) -> list[str]:
    """The words of a text in order; `cut` divides a run of Chinese characters or kana."""
    words: list[str] = []
    for piece in _PIECE.findall(text):
        if _IS_RUN.match(piece):
            words.extend(cut(piece))
        else:
            words.append(piece.lower() if lower else piece)
    return words


def longest_match(run: str, known: Container[str], longest: int) -> list[str]:
    """Cut a run by forward maximum matching: the longest known word at each place, else one character."""
    words, start = [], 0
    while start < len(run):
        end = min(len(run), start + longest)
        while end > start + 1 and run[start:end] not in known:
            end -= 1
        words.append(run[start:end])
        start = end
    return words


def tokenizer(name: Tokenizer) -> Callable[[str], list[str]]:
    """text -> words: "words" cuts Chinese into single characters, "jieba" into words. Raises MissingExtraError."""
    cut: Callable[[str], Iterable[str]] = list if name == "words" else _jieba().lcut
    return lambda text: split(text, cut)


@cache
def _jieba() -> Any:
    """A segmenter of our own, so that a dictionary the user gives to jieba's global one changes no vectors."""
    jieba = require("jieba", "jieba", "train", "Cutting Chinese text into words")
    jieba.setLogLevel(logging.WARNING)
    segmenter = jieba.Tokenizer()
    segmenter.initialize()
    return segmenter
