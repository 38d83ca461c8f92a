"""The headings of a text: Markdown's (both kinds), reStructuredText's, and Chinese ones.

Chinese headings carry a number and no mark: 第一章 …, 第二节 …, 一、…, （一）…. Lines with such
numbers that follow each other are a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CODE_BLOCK = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
_ATX = re.compile(r"^(#{1,6}) (.*)$", re.MULTILINE)
# A line, alone on its paragraph, with a line of marks below it, and perhaps above it.
_UNDERLINED = re.compile(
    r"""(?:\A|(?<=\n\n))(?:([=\-~^"*+#`'])\1{2,}\ *\n)?
    (?![-=*+~^"#`'|>]+\ *$)(\ {0,3}[^\s|>][^\n|]{0,199})\n
    \ {0,3}(=+|-{2,}|~{3,}|\^{3,}|"{3,}|\*{3,}|\+{3,})\ *$""",
    re.MULTILINE | re.VERBOSE,
)
_UNDERLINE_LEVELS = {"=": 1, "-": 2, "~": 3}
_NUMBER = "[一二三四五六七八九十百零〇两]{1,5}"
_CHAPTER = rf"第(?:{_NUMBER}|\d{{1,4}})"
_NUMBERED = re.compile(
    rf"^[ \u3000]{{0,8}}(?:({_CHAPTER}[章篇部卷编編])|({_CHAPTER}[节節回])"
    rf"|({_NUMBER}、)|([（(]{_NUMBER}[）)]))[^\n]{{0,40}}$",
    re.MULTILINE,
)
_NO_HEADING_END = tuple("。；，、;,.!！?？…")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading and where it is.

    Attributes:
        start: Its first character.
        end: The character after its last one, that of an underline included.
        level: 1 for the highest.
        title: Its words.
    """

    start: int
    end: int
    level: int
    title: str


def find_headings(text: str) -> list[Heading]:
    r"""The headings of a text whose lines end in "\n", in their order; none in blocks of code.

    Example:
        >>> [(found.level, found.title) for found in find_headings("# One\n\nTwo\n---\ntext")]
        [(1, 'One'), (2, 'Two')]
    """
    blocks = [match.span() for match in _CODE_BLOCK.finditer(text)] if "``" in text else []
    blocks += [match.span() for match in _CODE_BLOCK.finditer(text)] if "~~~" in text else []
    found = [*_atx(text), *_underlined(text), *_numbered(text)]
    found.sort(key=lambda heading: (heading.start, -heading.end))
    return list(_outside(found, sorted(set(blocks))))


def _atx(text: str) -> Iterator[Heading]:
    for match in _ATX.finditer(text):
        yield Heading(match.start(), match.end(), len(match[1]), match[2].strip(" #"))


def _underlined(text: str) -> Iterator[Heading]:
    if not re.search(r"\n {0,3}[=\-~^\"*+]", text):
        return
    for match in _UNDERLINED.finditer(text):
        mark, title = match[3][0], match[2].strip()
        if mark not in "=-" and len(match[3]) < len(title):
            continue  # in reStructuredText an underline is as long as its title
        if match.start() == 0 and text.startswith("---\n"):
            continue  # the first line of a block of settings
        yield Heading(match.start(), match.end(), _UNDERLINE_LEVELS.get(mark, 4), title)


def _numbered(text: str) -> Iterator[Heading]:
    """Chinese headings. Neighbors of one level without text between them are items of a list."""
    found = []
    for match in _NUMBERED.finditer(text):
        line = match[0].strip()
        if not line.endswith(_NO_HEADING_END):
            found.append(Heading(match.start(), match.end(), int(match.lastindex or 1), line))
    for number, heading in enumerate(found):
        before = found[number - 1] if number else None
        after = found[number + 1] if number + 1 < len(found) else None
        end = after.start if after is not None else len(text)
        has_text = bool(text[heading.end : end].strip())
        joins_after = not has_text and (after is None or after.level <= heading.level)
        joins_before = (
            before is not None
            and before.level == heading.level
            and not text[before.end : heading.start].strip()
        )
        if not joins_after and not joins_before:
            yield heading


def _outside(found: Sequence[Heading], blocks: Sequence[tuple[int, int]]) -> Iterator[Heading]:
    """Those that begin outside of code, and not inside of another one."""
    block, last = 0, 0
    for heading in found:
        while block < len(blocks) and blocks[block][1] <= heading.start:
            block += 1
        in_code = block < len(blocks) and blocks[block][0] <= heading.start
        if not in_code and heading.start >= last:
            last = heading.end
            yield heading
