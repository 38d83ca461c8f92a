"""Run the code blocks of a Markdown page, and compare what they print with what the page shows.

Run this file with the paths of pages to write new outputs into them:

    python tests/support/doc_blocks.py README.md docs/tutorial.md

With `--numbers` it also writes new numbers where they may differ from run to run.

The blocks of a page run from top to bottom in one empty folder:

- ```python    is executed; all Python blocks of a page share their names. What it prints is the
               ```text block right below it. A block without one prints nothing.
- ```console   holds commands (`$ ...`), each followed by its output. `vecsearch` runs in this
               process. Commands that set up the project (`pip`, `git`, `make`, `cd`) are not
               run; the others go to the shell.
- any language with title="NAME" is written to the file NAME, for the blocks below it.

A line `...` in an output stands for any lines. Comments give instructions:

    <!-- numbers vary -->        above a block: numbers may differ between runs and machines
    <!-- not run: REASON -->     above a block: show it only
    <!-- needs: pandas, ... -->  anywhere: modules without which the page is skipped
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from vecsearch.cli.app import app

FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_RUN = ("pip", "git", "make", "cd")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
ENVIRONMENT = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}


@dataclass
class Block:
    """A fenced block: where its body lies in the page, and what the comment above it says."""

    language: str
    title: str | None
    body: str
    start: int
    end: int
    line: int
    comment: str
    follows_code: bool

    @property
    def numbers_vary(self) -> bool:
        return "numbers vary" in self.comment

    @property
    def is_run(self) -> bool:
        return "not run:" not in self.comment


@dataclass
class Mismatch:
    """An output that differs from what the page shows."""

    line: int
    shown: str
    printed: str

    def __str__(self) -> str:
        return f"line {self.line} shows\n{self.shown}\nbut the code prints\n{self.printed}"


@dataclass
class Result:
    """What running a page found: differences, and the page with the outputs of this run."""

    mismatches: list[Mismatch] = field(default_factory=list)
    text: str = ""


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    blocks: list[Block] = []
    end = 0
    for match in FENCE.finditer(text):
        between = text[end : match.start()]
        above = re.search(r"<!--((?:(?!-->).)*)-->\s*\Z", between, re.DOTALL)
        nothing_between = not re.sub(r"<!--.*?-->", "", between, flags=re.DOTALL).strip()
        blocks.append(
            Block(
                language=match[1],
                title=match[2],
                body=match[3],
                start=match.start(3),
                end=match.end(3),
                line=text.count("\n", 0, match.start()) + 1,
                comment=above[1] if above else "",
                follows_code=bool(blocks) and blocks[-1].language == "python" and nothing_between,
            )
        )
        end = match.end()
    return blocks


def needs(text: str) -> list[str]:
    """The modules that a page says it needs."""
    return [
        name.strip()
        for part in re.findall(r"<!-- needs: (.*?) -->", text)
        for name in part.split(",")
    ]


def run_page(text: str, folder: Path, every_number: bool = False) -> Result:
    """Run the blocks of a page in a folder. With `every_number` no number may differ."""
    result = Result()
    names: dict[str, Any] = {"__name__": "docs"}
    edits: list[tuple[int, int, str]] = []
    blocks = blocks_of(text)
    if every_number:
        blocks = [replace(block, comment="") if block.numbers_vary else block for block in blocks]
    with _inside(folder):
        for number, block in enumerate(blocks):
            if not block.is_run:
                continue
            if block.title is not None:
                Path(block.title).parent.mkdir(parents=True, exist_ok=True)
                Path(block.title).write_text(block.body, encoding="utf-8")
            elif block.language == "python":
                printed = _run_python(block, names)
                following = blocks[number + 1] if number + 1 < len(blocks) else None
                if following is None or not (
                    following.language == "text" and following.follows_code
                ):
                    if printed:
                        result.mismatches.append(Mismatch(block.line, "(no output)", printed))
                elif not same_output(following.body, printed, following.numbers_vary):
                    result.mismatches.append(Mismatch(following.line, following.body, printed))
                    edits.append((following.start, following.end, printed))
            elif block.language == "console":
                printed = _run_console(block, result)
                if printed != block.body:
                    edits.append((block.start, block.end, printed))
    result.text = text
    for start, end, printed in reversed(edits):
        result.text = result.text[:start] + printed + result.text[end:]
    return result


def same_output(shown: str, printed: str, numbers_vary: bool = False) -> bool:
    """Whether an output is the one shown: trailing spaces aside, `...` standing for any lines."""
    return _pattern(shown, numbers_vary).fullmatch(_plain(printed, numbers_vary)) is not None


def commands_of(block: Block) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output shown below it."""
    parts = re.split(r"^\$ ", block.body, flags=re.MULTILINE)
    if parts[0].strip():
        raise ValueError(f"line {block.line}: a console block begins with '$ '")
    pairs = []
    for part in parts[1:]:
        command, _, output = part.partition("\n")
        while command.endswith("\\"):
            more, _, output = output.partition("\n")
            command += "\n" + more
        pairs.append((command, output))
    return pairs


def _run_python(block: Block, names: dict[str, Any]) -> str:
    code = compile("\n" * block.line + block.body, "page", "exec")
    with contextlib.redirect_stdout(io.StringIO()) as captured:
        exec(code, names)
    return _plain(captured.getvalue(), False)


def _run_console(block: Block, result: Result) -> str:
    """Run the commands of a block; the block with this run's outputs."""
    rows = []
    for command, shown in commands_of(block):
        if command.split()[0] in NOT_RUN:
            rows.append(f"$ {command}\n{shown}")
            continue
        printed = _run_command(command.replace("\\\n", " "))
        if not same_output(shown, printed, block.numbers_vary):
            result.mismatches.append(Mismatch(block.line, f"$ {command}\n{shown}", printed))
            shown = printed
        rows.append(f"$ {command}\n{shown}")
    return "".join(rows)


def _run_command(command: str) -> str:
    if command.startswith("vecsearch ") and not re.search(
        r"[|>;&]", re.sub(r'"[^"]*"', "", command)
    ):
        words = shlex.split(command)
        return _plain(CliRunner().invoke(app, words[1:], env=ENVIRONMENT).output, False)
    done = subprocess.run(
        command,
        shell=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **ENVIRONMENT},
    )
    return _plain(done.stdout, False)


def _plain(output: str, numbers_vary: bool) -> str:
    lines = [line.rstrip() for line in output.splitlines()]
    text = "".join(f"{line}\n" for line in lines).strip("\n")
    text = f"{text}\n" if text else ""
    if numbers_vary:
        # The width of a column follows its numbers, so runs of spaces and rules count as one.
        text = re.sub(r" +", " ", NUMBER.sub("N", text))
    return text


def _pattern(shown: str, numbers_vary: bool) -> re.Pattern[str]:
    lines = [
        r"(?:.*\n)*" if line.strip() == "..." else re.escape(line) + r"\n"
        for line in _plain(shown, numbers_vary).splitlines()
    ]
    return re.compile("".join(lines))


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def main(arguments: list[str]) -> None:
    for name in (argument for argument in arguments if argument != "--numbers"):
        path = Path(name).resolve()
        with tempfile.TemporaryDirectory() as folder:
            text = path.read_text(encoding="utf-8")
            result = run_page(text, Path(folder), every_number="--numbers" in arguments)
        path.write_text(result.text, encoding="utf-8")
        print(f"{name}: {len(result.mismatches)} outputs changed")
        for mismatch in result.mismatches:
            if mismatch.shown == "(no output)":
                print(mismatch)


if __name__ == "__main__":
    main(sys.argv[1:])
