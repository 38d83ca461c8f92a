"""Where sentences, paragraphs, headings and characters begin and end, in any mix of scripts.

The rules work on *marked* text: a string of the same length as the text, in which each boundary is
spelled one way and whatever only looks like a boundary ("Dr. ", "1. ", a comment in a code block)
is masked. Since the lengths are equal, positions in one are positions in the other. In marked text
- a paragraph ends in two line ends;
- a sentence ends in a full stop before white space, or in "。" in scripts without spaces;
- a heading is on one line with the first sentence below it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

Span = tuple[int, int]
"""A passage as (start, end), in Python characters of the text."""

# What masks are made of. The second stands for CJK punctuation, and weighs the same.
_MASK, _CJK_MASK = "_", "一"
_LINE_END = re.compile(r"\r(?!\n)|[\x0b\x0c\x85\u2028\u2029]")
_OTHER_SPACE = re.compile(r"[^\S\n]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANK_LINE = re.compile(r"\n( +)(?=\n)")
_CODE_BLOCK = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
_CODE_COMMENT = re.compile(r"^#", re.MULTILINE)
_HEADING = re.compile(r"^(#{1,6} .*)(\n+)", re.MULTILINE)
_SECTION_START = re.compile(r"^#{1,6} ", re.MULTILINE)
_LIST_NUMBER = re.compile(r"^( *\d{1,3})\.(?= )", re.MULTILINE)
_ABBREVIATION = re.compile(
    r"\b(Mrs?|Ms|Dr|Prof|[SJ]r|St|Mt|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Inc|Ltd|Co|Corp|vs|cf|ca|al|etc"
    r"|approx|[Ff]igs?|[Ee]qs?|Nos?|[Vv]ol|[Cc]h|[Ss]ec|pp?|eds?|Ph\.D|e\.g|i\.e|[ap]\.m|[A-Z])"
    r"\.(?=\s)"
)
_SENTENCE_END = re.compile(r"""[.!?]+["'”’)\]]*(?=\s)""")
_CJK_SENTENCE_END = re.compile(r"""[。！？；｡।॥؟۔]+["'”’」』）》】)\]]*""")
# In marked text, from the strongest to the weakest.
_BREAKS = (
    re.compile(r"\.(?=\s)|。|\n"),
    re.compile(r"[,;:](?=\s)|[，、：—…]"),
    re.compile(r"\s"),
)
LONGEST_CLUSTER = 32  # characters that are read as one; an emoji of a whole family has 11
_ZERO_WIDTH_JOINER = "\u200d"


def mark_boundaries(text: str) -> str:
    """The marked text for cutting into passages: sentences, paragraphs and headings."""
    text = _BLANK_LINE.sub(lambda m: m[1] + "\n", _mark_lines(text))
    text = _CODE_BLOCK.sub(lambda m: _CODE_COMMENT.sub(_MASK, m[0]), text)
    # A heading stays with the first sentence below it: a passage of a heading alone finds nothing.
    text = _HEADING.sub(lambda m: m[1] + " " * len(m[2]), text)
    return _mark_sentences(text)


def _mark_lines(text: str) -> str:
    """One spelling for line ends and other white space; half characters are masked."""
    return _OTHER_SPACE.sub(" ", _LINE_END.sub("\n", _SURROGATE.sub(_MASK, text)))


def _mark_sentences(text: str) -> str:
    text = _LIST_NUMBER.sub(lambda m: m[1] + _MASK, text)
    text = _ABBREVIATION.sub(lambda m: _MASK * len(m[0]), text)
    text = _SENTENCE_END.sub(lambda m: _MASK * (len(m[0]) - 1) + ".", text)
    return _CJK_SENTENCE_END.sub(lambda m: _CJK_MASK * (len(m[0]) - 1) + "。", text)


def section_spans(marked: str) -> list[Span]:
    """The sections of marked text: each begins with its headings, if it has any."""
    starts = [match.start() for match in _SECTION_START.finditer(marked)]
    bounds = [0, *(start for start in starts if start), len(marked)]
    return list(pairwise(bounds))


def sentence_spans(text: str) -> list[Span]:
    """The sentences of a text, without white space around them; each line is at least one."""
    marked = _mark_sentences(_mark_lines(text))
    ends = [match.end() for match in _BREAKS[0].finditer(marked)]
    return trimmed_spans(text, list(pairwise([0, *ends, len(text)])))


def trimmed_spans(text: str, spans: Sequence[Span]) -> list[Span]:
    """The spans without white space at their ends; blank ones are left out."""
    trimmed = []
    for start, end in spans:
        piece = text[start:end]
        if stripped := piece.strip():
            start += len(piece) - len(piece.lstrip())
            trimmed.append((start, start + len(stripped)))
    return trimmed


def resume_point(marked: str, lowest: int, end: int) -> int:
    """The first start of a sentence, else of a clause, else of a word, from `lowest` on.

    Returns:
        A position below `end`, or `end` where no such start has text after it.
    """
    for pattern in _BREAKS:
        found = pattern.search(marked, lowest - 1, end)
        if found and marked[found.end() : end].strip():
            rest = marked[found.end() : end]
            return found.end() + len(rest) - len(rest.lstrip())
    return end


def is_cluster_start(text: str, position: int) -> bool:
    """Whether what is read as one character begins here: not an accent or a part of an emoji."""
    this, before = text[position], text[position - 1]
    continues = (
        unicodedata.category(this)[0] == "M"
        or "\U0001f3fb" <= this <= "\U0001f3ff"
        or this == _ZERO_WIDTH_JOINER
    )
    return not continues and before != _ZERO_WIDTH_JOINER
