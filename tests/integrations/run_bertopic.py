"""The page on BERTopic, in an environment that has it."""

from __future__ import annotations

from pathlib import Path

from support.doc_blocks import run_page

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "bertopic.md"


def test_the_page_prints_what_it_shows(tmp_path: Path) -> None:
    result = run_page(PAGE.read_text(encoding="utf-8"), tmp_path)
    assert not result.mismatches, "\n\n".join(map(str, result.mismatches))
