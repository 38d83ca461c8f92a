"""Errors and warnings at a terminal name commands and options, never Python arguments or calls."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from test_cli import Answer, ok

import vecsearch as vs
from vecsearch.cli import info, terminal
from vecsearch.maintenance.check import find_damage
from vecsearch.storage import log

# `name=`, `call()`, `call(name=...)`, a class or module of the library, Python's literals.
PYTHON = re.compile(
    r"(?<![-\w])[a-z_]+=|\w\(\)|\w\([a-z_]+=|\bCollection\.|\bvecsearch\.[a-z]|\bPath\(|"
    r"\b(None|True|False)\b|\b[a-z]+_[a-z_]+ is "
)


# Modules that no command reaches, or whose words are those of the filter language.
NOT_AT_THE_COMMAND_LINE = (
    "query/analogy.py",
    "query/filter/functions.py",  # isnan() is what a filter calls it
    "ingest/sources/frames.py",
    "embedders/word_files.py",  # who has gensim's files has Python
    "evaluation/metrics.py",
    "index/faiss/index.py",
    "common/json_column.py",
    *(  # frameworks are used from Python
        f"integrations/{name}.py"
        for name in (
            *("conditions", "datasets", "documents", "frames", "haystack", "langchain"),
            "llama_index",
        )
    ),
)


def literal(node: ast.expr | None) -> str:
    """The text of a string, with X for what is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            "X" if isinstance(part, ast.FormattedValue) else literal(part) for part in node.values
        )
    if isinstance(node, ast.BinOp):
        return literal(node.left) + literal(node.right)
    if isinstance(node, ast.IfExp):
        return f"{literal(node.body)}; {literal(node.orelse)}"
    return ""


def spoken(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the hint for the command line of each error that a module raises."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("Error", "Warning")):
            given = {each.arg: each.value for each in node.keywords}
            yield node.lineno, literal(given.get("command_hint", given.get("hint")))


def test_every_hint_for_the_command_line_is_free_of_python() -> None:
    root = Path(vs.__file__).parent
    hints = [
        (f"{path.relative_to(root)}:{line}", hint)
        for path in sorted(root.rglob("*.py"))
        if str(path.relative_to(root)) not in NOT_AT_THE_COMMAND_LINE
        for line, hint in spoken(path)
    ]
    assert sum(bool(hint) for _, hint in hints) > 60
    assert [(place, hint) for place, hint in hints if PYTHON.search(hint)] == []


def test_python_in_a_hint_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text('raise AError(f"{x} is wrong", hint=f"pass k={1}, " + "or open()")')
    assert [PYTHON.search(hint) is not None for _, hint in spoken(path)] == [True]


def refused(*words: object) -> str:
    """The error of a command, which must be free of Python."""
    answer = Answer(*words)
    assert answer.code == 1, (answer.out, answer.err)
    assert answer.err.startswith("error: ") and "unexpected" not in answer.err
    assert not PYTHON.search(answer.err), answer.err
    return answer.err


def rows(path: Path, *documents: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return rows(tmp_path / "data.jsonl", {"id": "boat", "text": "a boat", "year": 1999})


@pytest.fixture
def folder(tmp_path: Path, data: Path) -> Path:
    ok("ingest", data, tmp_path / "c.vs", "--embedder", "toy:64")
    return tmp_path / "c.vs"


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """A collection of vectors, without an embedder."""
    with vs.create(tmp_path / "points.vs", dim=2) as collection:
        collection.add(np.eye(2))
    return tmp_path / "points.vs"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("search FOLDER boat -k 0", "-k is 0"),
        ("search FOLDER boat --recall 2", "--recall is 2"),
        ("search FOLDER boat --where (year", None),
        ("search FOLDER boat --where yaer>1", "did you mean 'year'"),
        ("search FOLDER boat --columns yaer", "did you mean 'year'"),
        ("search FOLDER boat --version 99", "`vecsearch versions`"),
        ("search nowhere.vs boat", "`vecsearch ingest`"),
        ("search POINTS boat", "searched by vector; give numbers"),
        ("search POINTS [1]", "2"),
        ("ingest DATA FOLDER --on-conflict error", "--on-conflict skip"),
        ("ingest DATA new.vs --embedder toy:8 --dim 9", "leave --dim out"),
        ("ingest DATA new.vs --dim 9 --chunker 500", "give --embedder too"),
        ("ingest DATA new.vs --embedder toy:8 --text-column words", "no column 'words'"),
        ("ingest DATA new.vs --embedder toy:8 --chunker 1", "at least"),
        ("ingest DATA new.vs --embedder tyo:8", "did you mean 'toy'"),
        ("ingest DATA new.vs --embedder model2vec:nowhere", None),
        ("ingest DATA POINTS", "not in the collection"),
        ("build FOLDER --recall 2", "--recall is 2"),
        ("build FOLDER --memory lots", "--memory is 'lots'"),
        ("build FOLDER --recipe nothing", None),
        ("build FOLDER --queries sampled", "`vecsearch sample"),
        ("bench FOLDER -k 0", "-k is 0"),
        ("measure FOLDER --n-queries 0", None),
        ("measure FOLDER --queries sampled", "`vecsearch sample"),
        ("sample FOLDER 100000000", "0 (off)"),
        ("evaluate FOLDER --n-queries 0", "--n-queries is 0"),
        ("evaluate FOLDER -k 0", None),
        ("evaluate FOLDER DATA", "BEIR"),
        ("evaluate POINTS", "--qrels"),
        ("dimensions FOLDER 9999", "9,999|9999"),
        ("reduce FOLDER new.vs 9999", "9,999|9999"),
        ("reduce FOLDER POINTS 2", "already|free"),
        ("reembed POINTS toy:8", "no text column"),
        ("restore DATA new.vs", None),
        ("rollback FOLDER 99", "`vecsearch versions`"),
        ("export FOLDER DATA", "free"),
        ("tune nowhere DATA new --learning-rate 2", None),
    ],
)
def test_an_error_speaks_the_words_of_the_command_line(
    folder: Path,
    points: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    words: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = {"FOLDER": folder, "POINTS": points, "DATA": data}
    typed = [paths.get(word, word) for word in command.split()]
    message = refused(*typed)
    assert words is None or re.search(words.replace("(off)", r"\(off\)"), message), message


def test_a_column_that_the_collection_lacks_is_refused(folder: Path, tmp_path: Path) -> None:
    other = rows(tmp_path / "other.jsonl", {"id": "ship", "text": "a ship", "yeer": 2000})
    assert "did you mean 'year'" in refused("ingest", other, folder)


def test_a_purge_that_a_reader_blocks_is_refused(folder: Path) -> None:
    with vs.open(folder):
        ok("delete", folder, "boat")
        assert "`vecsearch compact --purge`" in refused("compact", folder, "--purge")


def test_a_collection_split_by_a_function_is_refused(tmp_path: Path, data: Path) -> None:
    def halves(text: str) -> list[str]:
        return [text[: len(text) // 2], text[len(text) // 2 :]]

    vs.create(tmp_path / "f.vs", embedder="toy:8", chunker=halves).close()
    assert "from Python" in refused("ingest", data, tmp_path / "f.vs")


def test_damage_is_described_without_python(folder: Path) -> None:
    ok("delete", folder, "boat")
    for path in (folder / "segments").glob("*.arrow"):
        path.write_bytes(b"damaged")
    answer = Answer("check", folder)
    assert answer.code == 1 and answer.out.count("\n") == len(find_damage(folder)) > 0
    assert not PYTHON.search(answer.out), answer.out


def test_a_damaged_manifest_is_described_without_python(folder: Path) -> None:
    log.path_of(folder, 2).write_text("{}")
    refused("info", folder)


def test_plans_and_advice_are_free_of_python(folder: Path) -> None:
    answer = ok("search", folder, "boat", "--plan")
    assert "an index pays from" in answer.out and not PYTHON.search(answer.out)


def test_a_warning_is_one_line_in_command_line_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import warnings

    def warns(*_: object) -> None:
        warnings.warn(vs.RecallWarning("low", hint="f(x=1)", command_hint="--exact"), stacklevel=1)
        raise vs.StorageError(28, "the disk is full")

    monkeypatch.setattr(info, "open_for", warns)
    answer = Answer("info", folder)
    assert answer.err.splitlines() == ["warning: low; --exact", "error: the disk is full"]


def test_an_error_shows_its_hint_in_python_words_in_python(folder: Path) -> None:
    with vs.open(folder) as collection, pytest.raises(vs.DuplicateIdError) as caught:
        collection.add([{"id": "boat", "text": "again", "year": 1}])
    assert 'on_conflict="skip"' in str(caught.value)
    assert "--on-conflict skip" in caught.value.for_terminal()


def test_only_an_argument_at_the_start_of_a_message_becomes_an_option() -> None:
    assert terminal.with_option_names("the data is wrong") == "the data is wrong"
