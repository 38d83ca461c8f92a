"""Which files of a folder are left out by patterns, its own and those of the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vecsearch.ingest.sources.encoding import TextFile
from vecsearch.ingest.sources.patterns import Pattern, parsed_patterns

# Files of patterns; what a later one says counts.
IGNORE_FILES = (".gitignore", ".vecsearchignore")


@dataclass
class Ignored:
    """The patterns of a folder and of the folders in it.

    Attributes:
        given: Patterns that the caller gave; they count after all others.
    """

    given: Sequence[Pattern] = ()
    _files: dict[str, list[Pattern]] = field(default_factory=dict)

    def enter(self, folder: Path, relative: str) -> None:
        """Read the files of patterns in a folder, whose path from the start is `relative`.

        Raises:
            InvalidInputError: One of them cannot be read.
        """
        found: list[Pattern] = []
        for name in IGNORE_FILES:
            path = folder / name
            if path.is_file():
                lines = TextFile.find(path, str(path)).read().splitlines()
                found += parsed_patterns(lines, name)
        if found:
            self._files[relative] = found

    def reason(self, relative: str, *, is_folder: bool) -> str | None:
        """Where the pattern is written that leaves out a file or folder; None if none does."""
        reason = None
        parts = relative.split("/")
        for depth in range(len(parts)):
            patterns = self._files.get("/".join(parts[:depth]), ())
            inside = "/".join(parts[depth:])
            reason = _last_word(patterns, inside, is_folder, reason)
        return _last_word(self.given, relative, is_folder, reason)


def _last_word(
    patterns: Sequence[Pattern], path: str, is_folder: bool, before: str | None
) -> str | None:
    for pattern in patterns:
        if (is_folder or not pattern.folders_only) and pattern.matches.match(path):
            before = None if pattern.keeps else pattern.origin
    return before
