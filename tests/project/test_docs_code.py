"""Every code block of README and docs runs, and prints what the page shows."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from support.doc_blocks import NOT_RUN, blocks_of, commands_of, needs, run_page, same_output

FULL_CALIBRATION = True

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "decisions" not in path.parts),
]
WITH_CODE = [
    page
    for page in PAGES
    if any(block.language in ("python", "console") for block in blocks_of(page.read_text("utf-8")))
]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_code_of_a_page_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for module in needs(text):
        if find_spec(module) is None:
            pytest.skip(f"{name_of(page)} needs {module}: pip install '.[dev]'")
    result = run_page(text, tmp_path)
    assert not result.mismatches, "\n\n".join(map(str, result.mismatches)) + (
        f"\n\nIf the new output is right: python tests/support/doc_blocks.py {name_of(page)}"
    )


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if not block.is_run:
            assert len(block.comment.partition("not run:")[2].split()) >= 3, f"line {block.line}"


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_commands_that_are_not_run_exist(page: Path) -> None:
    """Those that set up the project are checked by name: make targets, and extras of pip."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.language != "console":
            continue
        for command, _ in commands_of(block):
            words = command.split()
            if words[0] == "make":
                assert f"\n{words[1]}:" in makefile, command
            elif words[0] == "pip" and "[" in command:
                extras = command.partition("[")[2].partition("]")[0].split(",")
                for extra in extras:
                    assert f"\n{extra} = [" in project, command
            elif words[0] not in NOT_RUN:
                assert words[0] in ("vecsearch", "python", "cat", "ls"), command


def test_a_wrong_output_is_found(tmp_path: Path) -> None:
    page = "```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n"
    result = run_page(page, tmp_path)
    assert [(found.shown, found.printed) for found in result.mismatches] == [("3\n", "2\n")]
    assert result.text == page.replace("3", "2")


def test_an_output_that_is_not_shown_is_found(tmp_path: Path) -> None:
    (found,) = run_page("```python\nprint('hello')\n```\n", tmp_path).mismatches
    assert found.printed == "hello\n"


def test_a_wrong_output_of_a_command_is_found(tmp_path: Path) -> None:
    page = "```console\n$ vecsearch info missing.vs\n1 document\n```\n"
    (found,) = run_page(page, tmp_path).mismatches
    assert found.printed.startswith("error: ")


def test_numbers_differ_only_where_a_comment_says_so() -> None:
    assert not same_output("1.5 s\n", "1.6 s\n")
    assert same_output("1.5 s\n", "1,016 s\n", numbers_vary=True)
    assert not same_output("1.5 s\n", "1.5 ms\n", numbers_vary=True)


def test_three_dots_stand_for_any_lines() -> None:
    assert same_output("a\n...\nd\n", "a\nb\nc\nd\n")
    assert not same_output("a\n...\nd\n", "a\nb\nc\n")
