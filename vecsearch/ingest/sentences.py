"""Where sentences, paragraphs, headings and characters begin and end, in any mix of scripts.

The rules work on *marked* text: a string of the same length as the text, in which each boundary is
spelled one way and whatever only looks like a boundary ("Dr. ", "1. ", a comment in a code block)
is masked. Since the lengths are equal, positions in one are positions in the other. In marked text
- a paragraph ends in two line ends, or in the mark "\x1d", which stands for the line end before a
  question of a list of questions and answers;
- a sentence ends in a full stop before white space, or in "。" in scripts without spaces;
- a heading is on one line with the first sentence below it, and a question with its answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

from vecsearch.common.scripts import CJK_LETTERS
from vecsearch.ingest.headings import Heading, find_headings
from vecsearch.ingest.tables import Table, find_tables

Span = tuple[int, int]
"""A passage as (start, end), in Python characters of the text."""

# What masks are made of. The second stands for CJK punctuation, and weighs the same.
_MASK, _CJK_MASK = "_", "一"
_LINE_END = re.compile(r"\r(?!\n)|[\x0b\x0c\x85\u2028\u2029]")
_OTHER_SPACE = re.compile(r"[^\S\n]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANK_LINE = re.compile(r"\n( +)(?=\n)")
_QUESTION = r"[ ]*(?:问题?|問題?|Q|Question)[ ]?\d{0,4}[：:.、]"
_ANSWER = r"[ ]*(?:答案?|A|Answer)[ ]?\d{0,4}[：:.、]"
_QUESTION_START = re.compile(rf"\n(?={_QUESTION})")
_QUESTION_END = re.compile(
    rf"(?:^|(?<=\x1d)){_QUESTION}[^\n\x1d]*?([.!?。！？]*)(\s+)(?={_ANSWER})", re.MULTILINE
)
_HEADING_STOP = re.compile(r"[.!?,;:](?= )")
_HEADING_CJK_STOP = re.compile(r"[。！？；，、：—…]")
_LIST_NUMBER = re.compile(r"^( *\d{1,3})\.(?= )", re.MULTILINE)
_ABBREVIATION = re.compile(
    r"\b(Mrs?|Ms|Dr|Prof|[SJ]r|St|Mt|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Inc|Ltd|Co|Corp|vs|cf|ca|al|etc"
    r"|approx|[Ff]igs?|[Ee]qs?|Nos?|[Vv]ol|[Cc]h|[Ss]ec|pp?|eds?|Ph\.D|e\.g|i\.e|[ap]\.m|[A-Z])"
    r"\.(?=\s)"
)
_CLOSERS = r"""["'”’」』）》】)\]]*"""
_SENTENCE_END = re.compile(rf"[.!?]+{_CLOSERS}(?=\s)")
_CJK_SENTENCE_END = re.compile(
    rf"(?:[。！？；｡।॥؟۔]|(?<![0-9０-９])．|．(?![0-9０-９]))+{_CLOSERS}"
    # Typed without a space after it, as in a chat.
    rf"|(?<=[{CJK_LETTERS}])(?:[!?]+|\.{{3,}}|[~～]+(?![0-9０-９])){_CLOSERS}"
)
# In marked text, from the strongest to the weakest.
PARAGRAPHS = re.compile(r"\n{2,}|\x1d")
SENTENCES = re.compile(r"\.(?=\s)|。|\x1d")
LINES = re.compile(r"[\n\x1d]")
CLAUSES = re.compile(r"[,;:](?=\s)|(?:[，、：]|—+|…+)[”’」』）》】]*")
WORDS = re.compile(r"\s")
LEVELS = (PARAGRAPHS, SENTENCES, LINES, CLAUSES, WORDS)
_SENTENCES_AND_LINES = re.compile(r"\.(?=\s)|[。\n\x1d]")
_RESUME_AT = (_SENTENCES_AND_LINES, CLAUSES, WORDS)
# No passage begins with a mark that closes something or ends with one that opens something, and
# marks that are typed in a row are not parted (in Chinese typesetting: 避头尾).
_CLOSING = frozenset("”’」』）》〉】〕｝］〗〙〛»),.;:!?]}，。、；：？！·～〜ー々％‰℃ﾞﾟ｡､｣．")
_OPENING = frozenset("“‘「『（《〈【〔｛［〖〘〚«([{｢")
_RUNS = frozenset("—…─～~.")
LONGEST_CLUSTER = 32  # characters that are read as one; an emoji of a whole family has 11
_ZERO_WIDTH_JOINER = "\u200d"


def mark_boundaries(text: str) -> tuple[str, list[Heading]]:
    """The marked text for cutting into passages, and the headings of the text."""
    text = _BLANK_LINE.sub(lambda m: m[1] + "\n", _mark_lines(text))
    headings = find_headings(text)
    text = _joined_headers(text, find_tables(text))
    text = _QUESTION_START.sub("\x1d", text)
    text = _QUESTION_END.sub(_joined_question, text)
    return _mark_sentences(_joined_headings(text, headings)), headings


def _joined_question(match: re.Match[str]) -> str:
    """A question that does not end before its answer."""
    start = match.start(1) - match.start()
    return match[0][:start] + _MASK * len(match[1]) + " " * len(match[2])


def _joined_headers(text: str, tables: Sequence[Table]) -> str:
    """The header of a table stays with its first row."""
    parts, at = [], 0
    for table in tables:
        parts += [text[at : table.start], text[table.start : table.body].replace("\n", " ")]
        at = table.body
    return "".join([*parts, text[at:]])


def _joined_headings(text: str, headings: Sequence[Heading]) -> str:
    """A heading stays with the first sentence below it: a passage of a heading alone finds
    nothing."""
    parts, at = [], 0
    for heading in headings:
        end = heading.end
        while end < len(text) and text[end] in "\n\x1d ":
            end += 1
        line = re.sub(r"[\n\x1d]", " ", text[heading.start : end])
        line = _HEADING_CJK_STOP.sub(_CJK_MASK, _HEADING_STOP.sub(_MASK, line))
        parts += [text[at : heading.start], line]
        at = end
    return "".join([*parts, text[at:]])


def line_ends(text: str) -> str:
    """The text with one spelling of line ends and other white space, in the same length."""
    return _mark_lines(text)


def _mark_lines(text: str) -> str:
    """One spelling for line ends and other white space; half characters are masked."""
    return _OTHER_SPACE.sub(" ", _LINE_END.sub("\n", _SURROGATE.sub(_MASK, text)))


def _mark_sentences(text: str) -> str:
    text = _LIST_NUMBER.sub(lambda m: m[1] + _MASK, text)
    text = _ABBREVIATION.sub(lambda m: _MASK * len(m[0]), text)
    text = _SENTENCE_END.sub(lambda m: _MASK * (len(m[0]) - 1) + ".", text)
    return _CJK_SENTENCE_END.sub(lambda m: _CJK_MASK * (len(m[0]) - 1) + "。", text)


def section_spans(marked: str, headings: Sequence[Heading]) -> list[Span]:
    """The sections of marked text: each begins with its headings, if it has any."""
    starts, end = [], -1
    for heading in headings:
        if end < 0 or marked[end : heading.start].strip():
            starts.append(heading.start)
        end = heading.end
    return list(pairwise([0, *(start for start in starts if start), len(marked)]))


def sentence_spans(text: str) -> list[Span]:
    """The sentences of a text, without white space around them; each line is at least one."""
    marked = _mark_sentences(_mark_lines(text))
    ends = [match.end() for match in _SENTENCES_AND_LINES.finditer(marked)]
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


def breaks(pattern: re.Pattern[str], marked: str, start: int, end: int) -> Iterator[int]:
    """Where marked text may be cut between `start` and `end` at the boundaries of one level."""
    for match in pattern.finditer(marked, start, end):
        cut = match.end()
        if start < cut < end and may_cut(marked, cut, start):
            yield cut


def may_cut(text: str, position: int, first: int = 0) -> bool:
    """Whether no character, no row of marks and no mark with its word is parted at a position.

    White space may lie on either side; a new line may begin with any mark.
    """
    after, before = position, position - 1
    while after < len(text) and text[after] == " ":
        after += 1
    while before > first and text[before] == " ":
        before -= 1
    if after >= len(text) or text[after].isspace() or text[before].isspace():
        return is_cluster_start(text, position)
    this, last = text[after], text[before]
    if this in _CLOSING or last in _OPENING:
        return False
    is_parted_row = this == last and this in _RUNS and after == before + 1
    return not is_parted_row and is_cluster_start(text, position)


def resume_point(marked: str, lowest: int, end: int) -> int:
    """The first start of a sentence, else of a clause, else of a word, from `lowest` on.

    Returns:
        A position below `end`, or `end` where no such start has text after it.
    """
    for pattern in _RESUME_AT:
        for cut in breaks(pattern, marked, lowest - 1, end):
            rest = marked[cut:end]
            if rest.strip():
                return cut + len(rest) - len(rest.lstrip())
            break
    return end


def is_cluster_start(text: str, position: int) -> bool:
    """Whether what is read as one character begins here: not an accent, a part of an emoji, or the
    second half of a flag."""
    this, before = text[position], text[position - 1]
    if _is_flag_half(this) and _is_flag_half(before):
        first = position
        while first and _is_flag_half(text[first - 1]):
            first -= 1
        return (position - first) % 2 == 0
    continues = (
        unicodedata.category(this)[0] == "M"
        or "\U0001f3fb" <= this <= "\U0001f3ff"
        or this == _ZERO_WIDTH_JOINER
        or this in "ﾞﾟ"
    )
    return not continues and before != _ZERO_WIDTH_JOINER


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
