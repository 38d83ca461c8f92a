"""Where long documents divide by themselves: pages, and functions and classes of source code.

A passage never reaches over a page's end, so that its page is known. A source file that is too
long for one passage is split before its functions and classes, and a class that is too long before
its methods. Python is parsed. In other languages a part begins with a line that is indented as
little as the first one, after an empty line or a line that closes a bracket.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from vecsearch.ingest.sources.registry import CODE, suffix_of
from vecsearch.types import PAGE_END

Span = tuple[int, int]
Split = Callable[[str], Sequence[Span]]
SMALL = 120  # characters of a part that stays with the one after it
LARGEST_PARSED = 2**21  # characters
MAX_DEPTH = 4  # of classes in each other
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_CLOSES = re.compile(r"[ \t]*(?:[})\]]+[;,]?|end[;.]?|fi|done|esac)[ \t]*\Z")
_PYTHON = (".py", ".pyi")


def outlined_spans(split: Split, name: object, text: str) -> list[Span]:
    """The passages of a text, each within a page, or a part of source code.

    Args:
        split: Splits a text into passages; one passage means that it fits.
        name: The document's id; its suffix tells whether the text is source code.
        text: The text.
    """
    if PAGE_END in text:
        return [
            (start + first, start + last)
            for start, end in _pages(text)
            for first, last in split(text[start:end])
        ]
    suffix = _suffix(name)
    if suffix in CODE:
        return _fitted(split, text, (0, len(text)), suffix in _PYTHON, 0)
    return list(split(text))


def has_pages(text: str) -> bool:
    """Whether a text has several pages, each of which is a passage at least."""
    return PAGE_END in text.strip()


def is_code(name: object) -> bool:
    """Whether a document is a file of source code, by its id."""
    return _suffix(name) in CODE


def _suffix(name: object) -> str:
    return suffix_of(Path(name.partition("#")[0])) if isinstance(name, str) else ""


def _pages(text: str) -> list[Span]:
    ends = [match.end() for match in re.finditer(PAGE_END, text)]
    starts = [0, *ends]
    return list(zip(starts, [*ends, len(text)], strict=True))


def _fitted(split: Split, text: str, part: Span, is_python: bool, depth: int) -> list[Span]:
    """The passages of a part of source code, which is divided if it is too long for one."""
    start, end = part
    spans = [(start + first, start + last) for first, last in split(text[start:end])]
    if len(spans) <= 1 or depth == MAX_DEPTH:
        return spans
    inside = text[start:end]
    cuts = _python_cuts(inside, depth) if is_python else None
    if cuts is None:
        cuts = _cuts_by_indentation(inside, depth)
    parts = _parts(cuts, len(inside))
    if len(parts) < 2 and depth:
        return spans
    return [
        span
        for first, last in parts
        for span in _fitted(split, text, (start + first, start + last), is_python, depth + 1)
    ]


def _parts(cuts: Sequence[int], length: int) -> list[Span]:
    """The spans between cuts; a small one is joined to the next."""
    starts = [0]
    for cut in sorted(set(cuts)):
        if cut - starts[-1] >= SMALL and cut < length:
            starts.append(cut)
    return list(zip(starts, [*starts[1:], length], strict=True))


def _python_cuts(code: str, depth: int) -> list[int] | None:
    """Where functions and classes begin and end; None if the code is no Python.

    Below the top, the code is one class or function: its indentation is taken away first.
    """
    if len(code) > LARGEST_PARSED:
        return None
    lines = _line_starts(code)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes such as "\\d" in the code of others
            body = ast.parse(_without_indentation(code)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if depth:
        body = [inner for node in body for inner in getattr(node, "body", ())]
    cuts = []
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            first = _with_comments(code, lines, first - 1)
            cuts.append(lines[first])
            if node.end_lineno is not None and node.end_lineno < len(lines):
                cuts.append(lines[node.end_lineno])
    return cuts


def _without_indentation(code: str) -> str:
    """The code with its first line, and what belongs to it, at the left; lines stay lines."""
    first = re.search(r"^([ \t]*)[^\s#]", code, re.M)
    if first is None or not first[1]:
        return code
    return re.sub(rf"(?m)^{re.escape(first[1])}", "", code)


def _with_comments(code: str, lines: Sequence[int], line: int) -> int:
    """The first line of the comment right above a line, or the line itself."""
    while line and code[lines[line - 1] : lines[line]].lstrip().startswith("#"):
        line -= 1
    return line


def _line_starts(code: str) -> list[int]:
    return [match.start() for match in _LINE.finditer(code) if match.group() or not code]


def _cuts_by_indentation(code: str, depth: int) -> list[int]:
    """Lines that are indented as little as the code is, or inside of its first part, which come
    after an empty line or one that closes a bracket."""
    starts = _line_starts(code)
    lines = [code[start:end] for start, end in zip(starts, [*starts[1:], len(code)], strict=True)]
    indents = [len(line) - len(line.lstrip()) if line.strip() else None for line in lines]
    levels = sorted({indent for indent in indents if indent is not None})
    if len(levels) <= min(depth, 1):
        return []
    wanted = levels[min(depth, 1)]
    cuts = []
    for number, (line, indent) in enumerate(zip(lines, indents, strict=True)):
        before = lines[number - 1] if number else ""
        is_apart = not before.strip() or _CLOSES.match(before.rstrip("\r\n"))
        if indent == wanted and is_apart and not _CLOSES.match(line.rstrip("\r\n")):
            cuts.append(starts[number])
    return cuts
