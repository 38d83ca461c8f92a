"""Patterns of paths, in the syntax of `.gitignore`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from vecsearch.errors import InvalidInputError


@dataclass(frozen=True)
class Pattern:
    """One line of a file of patterns.

    Attributes:
        matches: Tells whether a path from the folder of the file is meant.
        folders_only: Whether only folders are meant.
        keeps: Whether it is an exception, `!pattern`: what it matches is not left out.
        origin: Where it is written, for the report.
    """

    matches: re.Pattern[str]
    folders_only: bool
    keeps: bool
    origin: str


def parsed_patterns(lines: Iterable[str], origin: str) -> list[Pattern]:
    """Patterns in the syntax of `.gitignore`.

    Raises:
        InvalidInputError: A pattern is wrong.
    """
    found = []
    for line in lines:
        text = re.sub(r"(?<!\\) +$", "", line.rstrip("\r\n"))
        if not text or text.startswith("#"):
            continue
        keeps = text.startswith("!")
        text = text[1:] if keeps else text
        folders_only = text.endswith("/")
        text = text.rstrip("/")
        anchored = "/" in text
        text = text.removeprefix("/")
        if text:
            expression = _translated(text, anchored)
            try:
                found.append(Pattern(re.compile(expression), folders_only, keeps, origin))
            except re.error as error:
                raise InvalidInputError(
                    f"{origin}: the pattern {line!r} is wrong: {error}"
                ) from None
    return found


def _translated(pattern: str, anchored: bool) -> str:
    """A regular expression for a whole path."""
    out = "" if anchored else "(?:.*/)?"
    at = 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**/") and (at == 0 or pattern[at - 1] == "/"):
            out, at = out + "(?:.*/)?", at + 3
        elif rest == "**" and (at == 0 or pattern[at - 1] == "/"):
            out, at = out + ".+", at + 2
        elif rest[0] == "*":
            out, at = out + "[^/]*", at + 1
            while pattern[at : at + 1] == "*":
                at += 1
        elif rest[0] == "?":
            out, at = out + "[^/]", at + 1
        elif rest[0] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\")
            inside = "^" + inside[1:] if inside[0] in "!^" else inside
            out, at = out + f"(?!/)[{inside}]", end + 1
        elif rest[0] == "\\" and len(rest) > 1:
            out, at = out + re.escape(rest[1]), at + 2
        else:
            out, at = out + re.escape(rest[0]), at + 1
    return out + r"\Z"
