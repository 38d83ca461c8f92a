"""Files that the documentation names exist, and links lead somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import hooks  # noqa: E402

PAGES = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
NAMED = re.compile(
    r"`((?:vecsearch|tests|docs|indexes|benchmarks|examples)/[\w./-]*|[\w-]+\.(?:toml|yml|md))`"
)


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_path_that_is_named_exists(name: str) -> None:
    paths = NAMED.findall((ROOT / name).read_text(encoding="utf-8"))
    assert len(paths) >= 10
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing


def test_every_package_has_a_paragraph_in_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for package in sorted(path.parent.name for path in (ROOT / "vecsearch").glob("*/__init__.py")):
        assert f"`vecsearch/{package}/`" in text, package


def test_the_test_paths_of_promises_exist() -> None:
    text = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    paths = re.findall(r"tests/[\w/]+(?:\.py)?", text)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_files_lead_somewhere(page: Path) -> None:
    """A link leads to a file, or to a page that the site makes."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    made = {(ROOT / "docs" / name).resolve() for name in (*hooks.COPIED, hooks.COMMANDS)}
    for target in re.findall(r"\]\(([^)\s#]+)", text):
        if not re.match(r"[a-z]+:", target):
            path = (page.parent / target).resolve()
            assert path.exists() or path in made, f"{page.name} links to {target}"


def test_prose_is_at_most_100_columns_wide() -> None:
    """Not in Chinese: there a line break within a paragraph would show as a space."""
    for page in (page for page in PAGES if page.name != "README.zh.md"):
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.startswith("|"):
                assert len(line) <= 100, f"{page.relative_to(ROOT)}, {number}: {line}"
