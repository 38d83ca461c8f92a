"""The words of the field, and plain English: private words are gone from code and messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "vecsearch").rglob("*.py"))
KEY_OF_OLD_FORMATS = ROOT / "vecsearch" / "storage" / "layout.py"

PRIVATE_WORDS = (
    r"\bfacts\b",
    r"\bbur(y|ied|ies)\b",
    r"\banew\b",
    r"\bmend(s|ed|ing)?\b",
    r"\bstands? twice\b",
    r"\bmade[ -]up\b",
    r"\bcomes? about\b",
    r"\bgone through twice\b",
    r"\basked with\b",
    r"\bclass _?Kept\b|: _?Kept\b|-> _?Kept\b",
    r"\b(query|queries|vectors): Scores\b",
)


@pytest.mark.parametrize("word", PRIVATE_WORDS)
def test_a_private_word_is_not_used(word: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(word, line, re.IGNORECASE)
        and not (path == KEY_OF_OLD_FORMATS and '= "facts"' in line)
    ]
    assert found == []


def test_the_search_for_words_sees_the_sources() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    assert len(SOURCES) > 150
    assert re.search(r"\bmanifest\b", text) and re.search(r"\bcalibration\b", text)
