"""Pages and source code: where long documents divide by themselves."""

from __future__ import annotations

import inspect
import json
import textwrap
import warnings
from pathlib import Path

import pytest

import vecsearch as vs
from vecsearch.ingest import outline
from vecsearch.ingest.outline import outlined_spans

BODY = "    # a comment that makes the body long enough to stand for itself, as bodies of code do\n"
PYTHON = (
    '"""A module."""\n\nimport os\n\nPATTERN = "\\d+"\n\n\n'
    + "".join(
        f"# what step {n} does\n@cached\ndef step_{n}(x):\n{BODY * 2}    return x\n\n\n"
        for n in range(4)
    )
    + "class Robot:\n"
    + "".join(
        f"    async def move_{n}(self):\n{textwrap.indent(BODY * 3, '    ')}        return {n}\n\n"
        for n in range(4)
    )
    + "\nif __name__ == '__main__':\n    step_1(2)\n"
)
JAVASCRIPT = (
    'import a from "b";\n\n'
    + "".join(
        f"/** Step {n}. */\nfunction step{n}(x) {{\n{BODY * 2}\n    return x;\n}}\n"
        for n in range(4)
    )
    + "class Robot {\n"
    + "".join(f"    move{n}() {{\n    {BODY * 3}    }}\n\n" for n in range(4))
    + "}\n"
)
RUBY = "".join(f"def step{n}(x)\n{BODY * 2}  x\nend\n\n" for n in range(6))


def passages(name: object, text: str, max_chars: int = 300) -> list[str]:
    split = vs.Chunker(max_chars=max_chars).split
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spans = outlined_spans(split, name, text)
    assert spans == sorted(spans)
    covered = set().union(*(range(start, end) for start, end in spans))
    assert all(text[at].isspace() for at in set(range(len(text))) - covered)
    return [text[start:end] for start, end in spans]


def test_python_is_split_at_functions_and_methods() -> None:
    found = [passage.split("\n")[0].strip() for passage in passages("a/tool.py", PYTHON)]
    for n in range(1, 4):  # the small beginning of the module stays with the first step
        assert f"# what step {n} does" in found and f"async def move_{n}(self):" in found
    assert "class Robot:" in found
    assert found[-1].startswith("if __name__")


@pytest.mark.parametrize(
    ("name", "text", "heads"),
    [
        ("a.js", JAVASCRIPT, [*(f"/** Step {n}. */" for n in range(1, 4)), "class Robot {"]),
        ("a.rb", RUBY, [f"def step{n}(x)" for n in range(6)]),
        ("a.py", PYTHON.replace("import os", "import os, ("), ["# what step 1 does"]),
    ],
)
def test_other_languages_are_split_by_indentation(name: str, text: str, heads: list[str]) -> None:
    found = [passage.split("\n")[0].strip() for passage in passages(name, text)]
    for head in heads:
        assert head in found


def test_a_short_file_is_one_passage_and_text_is_no_code() -> None:
    assert passages("a.py", PYTHON, 10_000) == [PYTHON.strip()]
    whole = vs.Chunker(max_chars=300).split(PYTHON)
    assert outlined_spans(vs.Chunker(max_chars=300).split, "a.txt", PYTHON) == whole
    assert outlined_spans(vs.Chunker(max_chars=300).split, 5, PYTHON) == whole


def test_rows_of_code_in_a_table_are_no_files() -> None:
    """The id of a mail or a row is `path#number`; its kind is that of the path."""
    assert passages("list.mbox#2", PYTHON) == passages("a.txt", PYTHON)
    assert passages("tool.py#1", PYTHON) == passages("tool.py", PYTHON)


@pytest.mark.parametrize(
    "module", [outline, json, inspect, textwrap], ids=lambda module: module.__name__
)
def test_real_modules_are_covered(module: object) -> None:
    path = inspect.getsourcefile(module)  # type: ignore[arg-type]
    assert path is not None
    text = Path(path).read_text(encoding="utf-8")
    found = passages("module.py", text, 1000)
    names = [passage for passage in found if passage.lstrip().startswith(("def ", "class ", "@"))]
    assert len(names) * 2 > text.count("\ndef ") + text.count("\nclass ")


@pytest.mark.parametrize(
    "code",
    ["-" * 50_000 + "1", "(" * 50_000, "a" + ".b" * 50_000, "x" + "[0]" * 50_000, "'" * 9999],
)
def test_hostile_code_is_split_like_text(code: str) -> None:
    assert len(passages("a.py", f"x = {code}\n", 1000)) > 1


def test_no_passage_reaches_over_a_page() -> None:
    text = "First page.\n\f\n\fThird page, part one. And part two.\n\f"
    assert passages("a.pdf", text) == ["First page.", "Third page, part one. And part two."]


def test_a_chunker_of_your_own_sees_whole_texts(tmp_path: Path) -> None:
    seen: list[str] = []

    def halves(text: str) -> list[tuple[int, int]]:
        seen.append(text)
        return [(0, len(text) // 2), (len(text) // 2, len(text))]

    c = vs.create(tmp_path / "c.vs", embedder="toy:8", chunker=halves)
    c.add([{"id": "a.py", "text": "one\ftwo"}])
    assert seen == ["one\ftwo"]
