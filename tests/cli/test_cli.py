"""The command line says what the Python API says; errors are one line and an exit code."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli import app, info, terminal
from vecsearch.types import shown_bytes

DOCUMENTS = [
    {"id": "boat", "text": "a small boat on the lake", "year": 1999, "tags": ["water"]},
    {"id": "ship", "text": "a large ship at sea", "year": 2021, "tags": ["water", "steel"]},
    {"id": "bus", "text": "a [red] bus :smile: in town", "year": 2003, "tags": []},
    {"id": "茶", "text": "喝一杯热茶", "year": 2024, "tags": ["饮料"]},
]


class Answer:
    """What one run of the command gave."""

    def __init__(self, *words: object) -> None:
        result = CliRunner().invoke(app.app, [str(word) for word in words], env={"COLUMNS": "160"})
        self.code = result.exit_code
        self.out = result.stdout
        self.err = result.stderr
        self.exception = result.exception

    @property
    def json(self) -> Any:
        (line,) = self.out.splitlines()
        return json.loads(line)


def ok(*words: object) -> Answer:
    answer = Answer(*words)
    assert answer.code == 0, (answer.err, answer.exception)
    return answer


def fails(*words: object, code: int = 1) -> str:
    """The one line on stderr of a command that fails; nothing else may be printed."""
    answer = Answer(*words)
    assert answer.code == code
    assert answer.out == ""
    if code == 1:
        assert answer.err.startswith("error: ")
        assert answer.err.count("\n") == 1
    return answer.err


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "notes.jsonl"
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in DOCUMENTS), encoding="utf-8"
    )
    return path


@pytest.fixture
def folder(tmp_path: Path, data: Path) -> Path:
    place = tmp_path / "notes.vs"
    ok("ingest", data, place, "--embedder", "toy:64")
    return place


def test_ingest_makes_a_collection_and_counts(tmp_path: Path, data: Path) -> None:
    place = tmp_path / "new.vs"
    answer = ok("ingest", data, place, "--embedder", "toy:32", "--metric", "l2")
    assert answer.out.startswith(f"4 documents added to {place} in ")
    assert answer.out.endswith(f'Next: vecsearch search {place} "a question"\n')
    info = vs.open(place).info()
    assert (info.documents, info.dim, info.metric, info.embedder) == (4, 32, "l2", "toy:32")


def test_ingest_again_skips_replaces_or_refuses(folder: Path, data: Path) -> None:
    assert "boat" in fails("ingest", data, folder, "--on-conflict", "error")
    same = ok("ingest", data, folder, "--json").json
    assert (same["added"], same["replaced"], same["unchanged"]) == (0, 0, 4)
    assert len(vs.open(folder)) == 4
    skipped = ok("ingest", data, folder, "--on-conflict", "skip", "--json").json
    assert (skipped["added"], skipped["replaced"], skipped["skipped"]) == (0, 0, 4)
    data.write_text('{"id": "boat", "text": "a rowing boat", "year": 2000}\n', encoding="utf-8")
    replaced = ok("ingest", data, folder, "--on-conflict", "replace", "--json").json
    assert (replaced["added"], replaced["replaced"], replaced["embedded"]) == (0, 1, 1)
    (boat,) = vs.open(folder).get("boat")
    assert boat is not None
    assert boat["text"] == "a rowing boat"


def test_ingest_several_files_with_columns_of_other_names(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text(f"key,words\n00{name},the {name}\n", encoding="utf-8")
    place = tmp_path / "c.vs"
    options = ("--id-column", "key", "--text-column", "words", "--embedder", "toy:16")
    ok("ingest", tmp_path / "one.csv", tmp_path / "two.csv", place, *options)
    assert vs.open(place).get(["00one", "00two"], ["words"]) == [
        {"words": "the one"},
        {"words": "the two"},
    ]


def test_ingest_of_a_bad_row_leaves_the_collection_as_it_was(folder: Path, data: Path) -> None:
    data.write_text('{"id": "x", "text": "fine"}\n{"id": "y", "text": null}\n', encoding="utf-8")
    message = fails("ingest", data, folder)
    assert f"{data}, line 2, column 'text'" in message
    assert "text" in message
    assert len(vs.open(folder)) == 4


def test_ingest_refuses_to_change_what_is_fixed_at_creation(folder: Path, data: Path) -> None:
    assert "made with cosine" in fails("ingest", data, folder, "--metric", "l2", code=2)
    assert "made with 64" in fails("ingest", data, folder, "--dim", "3", code=2)
    assert "made with the chunker auto" in fails(
        "ingest", data, folder, "--chunker", "none", code=2
    )
    assert "--chunker auto" in fails("ingest", data, folder, "--chunk", code=2)
    assert "--chunker 500" in fails("ingest", data, folder, "--chunk-chars", 500, code=2)
    assert (
        ok(
            "ingest", data, folder, "--metric", "cosine", "--dim", "64", "--on-conflict", "skip"
        ).code
        == 0
    )


@pytest.mark.parametrize(
    "options",
    [(), ("--where", "year > 2000 AND id <> 'bus'"), ("--exact", "-k", "2"), ("--recall", "0.99")],
)
@pytest.mark.parametrize("question", ["a ship on a lake", "热茶"])
def test_search_in_json_equals_the_api(
    folder: Path, question: str, options: tuple[str, ...]
) -> None:
    answer = ok("search", folder, question, *options, "--json").json
    named = dict(zip(options[::2], options[1::2], strict=False))
    collection = vs.open(folder)
    hits = collection.search(
        question,
        k=int(options[2]) if "-k" in options else 10,
        where=named.get("--where"),
        exact="--exact" in options,
    )
    assert [hit["id"] for hit in answer["hits"]] == hits.ids
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx(hits.scores.tolist(), abs=1e-6)
    assert [hit["rank"] for hit in answer["hits"]] == list(range(1, len(hits) + 1))
    by_id = {row["id"]: row for row in DOCUMENTS}
    for hit in answer["hits"]:
        assert {name: hit[name] for name in ("text", "year", "tags")} == {
            name: by_id[hit["id"]][name] for name in ("text", "year", "tags")
        }


def test_search_as_a_table(folder: Path) -> None:
    lines = ok(
        "search", folder, "large ship", "-k", "2", "--columns", "year", "--plan"
    ).out.splitlines()
    assert lines[0].split() == ["rank", "score", "year", "document"]
    score = vs.open(folder).search("large ship", k=1).scores[0]
    assert lines[1].split() == ["1", f"{score:.3f}", "2021", "ship"]
    assert lines[2].strip() == "a large ship at sea"
    assert lines[3].split()[0] == "2"
    assert lines[5].startswith("exact search over 4 rows")


def test_long_texts_are_cut_to_two_lines_chinese_ones_too(tmp_path: Path) -> None:
    data = tmp_path / "long.jsonl"
    rows = [
        {"id": 1, "text": "1: " + "long words " * 400},
        {"id": 2, "text": "很长的一段话，" * 400},
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    ok("ingest", data, tmp_path / "long.vs", "--embedder", "toy:64")
    lines = [
        line.strip() for line in ok("search", tmp_path / "long.vs", "long words").out.splitlines()
    ]
    assert lines[2].startswith("long words")  # the id stands above it and is not said twice
    assert lines[3].endswith("…")
    assert lines[5].startswith("很长的一段话，很长")
    assert lines[6].endswith("…")
    assert len(lines) == 7


def test_text_of_users_is_not_markup(folder: Path) -> None:
    assert "a [red] bus :smile: in town" in ok("search", folder, "bus", "-k", "1").out


def test_search_without_a_match_says_so(folder: Path) -> None:
    assert ok("search", folder, "boat", "--where", "year < 1900").out == "no document matches\n"
    assert ok("search", folder, "boat", "--where", "year < 1900", "--json").json["hits"] == []


def test_json_has_only_the_columns_asked_for(folder: Path) -> None:
    (hit,) = ok("search", folder, "boat", "-k", "1", "--columns", "year, tags", "--json").json[
        "hits"
    ]
    assert hit == {
        "rank": 1,
        "score": pytest.approx(hit["score"]),
        "id": "boat",
        "year": 1999,
        "tags": ["water"],
    }


@pytest.mark.parametrize(
    ("name", "lines", "keys"),
    [
        ("questions.txt", "a boat\n\n热茶\n", ["1", "3"]),
        (
            "questions.jsonl",
            '{"_id": "q1", "text": "a boat"}\n{"id": 7, "text": "热茶"}\n',
            ["q1", "7"],
        ),
    ],
)
def test_many_questions_from_a_file(
    folder: Path, tmp_path: Path, name: str, lines: str, keys: list[str]
) -> None:
    path = tmp_path / name
    path.write_text(lines, encoding="utf-8")
    answers = [
        json.loads(line)
        for line in ok("search", folder, "--queries", path, "-k", "1", "--json").out.splitlines()
    ]
    assert [answer["query_id"] for answer in answers] == keys
    assert [answer["hits"][0]["id"] for answer in answers] == ["boat", "茶"]
    shown = ok("search", folder, "--queries", path, "-k", "1").out
    assert f"{keys[1]}  热茶" in shown


def test_a_bad_line_of_queries_is_named(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"text": "fine"}\n["no"]\n', encoding="utf-8")
    assert "questions.jsonl, line 2" in fails("search", folder, "--queries", path)
    assert "missing.txt" in fails("search", folder, "--queries", tmp_path / "missing.txt")


def test_vectors_without_a_model(tmp_path: Path) -> None:
    data = tmp_path / "points.jsonl"
    data.write_text('{"id": 7, "vector": [0, 1]}\n{"id": 8, "vector": [3, 4]}\n', encoding="utf-8")
    place = tmp_path / "points.vs"
    ok("ingest", data, place, "--dim", "2", "--metric", "l2")
    (hit,) = ok("search", place, "[3, 5]", "-k", "1", "--json").json["hits"]
    assert (hit["id"], hit["score"]) == (8, pytest.approx(-1.0))
    assert "no embedder" in fails("search", place, "a word")
    assert ok("delete", place, "7", "99", "--json").json | {"version": 0} == {
        "deleted": 1,
        "missing": 1,
        "version": 0,
        "ids": [],
    }


def test_ids_narrow_commands(folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "ids.txt"
    listed.write_text("boat\n\n 茶 \nnobody\n", encoding="utf-8")
    found = ok("search", folder, "a boat", "--ids", listed, "--json").json["hits"]
    assert [hit["id"] for hit in found] == ["boat", "茶"]
    found = ok("search", folder, "a boat", "--id", "bus", "--id", "ship", "--json").json["hits"]
    assert {hit["id"] for hit in found} == {"bus", "ship"}
    assert "ids of this collection" not in ok("search", folder, "a boat", "--id", "7").out
    said = ok("delete", folder, "--ids", listed, "--dry-run")
    assert said.out.startswith("2 documents would be deleted; 1 not found")
    assert said.out.splitlines()[1] == "boat, 茶"
    assert ok("delete", folder, "--ids", listed, "--where", "year < 2000").out.startswith("1 doc")
    assert ok("info", folder, "--json").json["documents"] == 3
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    assert "not UTF-8" in fails("search", folder, "a", "--ids", tmp_path / "bad.txt", code=2)


def test_update_sets_columns(folder: Path) -> None:
    changes = ("--set", "year=7", "--set", 'tags=["a", "b"]', "--set", "text=a new text = good")
    dry = ok("update", folder, "--id", "bus", "--id", "nobody", *changes, "--dry-run", "--json")
    assert (dry.json["updated"], dry.json["missing"], dry.json["ids"]) == (1, 1, ["bus"])
    done = ok("update", folder, "--id", "bus", "--id", "nobody", *changes, "--json").json
    assert (done["updated"], done["missing"], done["embedded"]) == (1, 1, 1)
    with vs.open(folder) as c:
        row = {"id": "bus", "text": "a new text = good", "year": 7, "tags": ["a", "b"]}
        assert c.get(["bus"], list(row)) == [row]
    assert ok("update", folder, "--where", "year > 2000", "--set", "year=null").out.startswith(
        "2 documents updated (version"
    )
    assert "cannot be stored" in fails("update", folder, "--all", "--set", "year=soon")
    assert "did you mean 'year'" in fails("update", folder, "--all", "--set", "yeer=1")


def test_ingest_updates_what_a_file_gives(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "new.jsonl").write_text('{"id": "bus", "year": 1}\n{"id": "car", "text": "a"}\n')
    done = ok("ingest", tmp_path / "new.jsonl", folder, "--on-conflict", "update", "--json").json
    assert (done["added"], done["replaced"], done["embedded"]) == (1, 1, 1)
    with vs.open(folder) as c:
        assert c.get(["bus"], ["text", "year"]) == [{"text": DOCUMENTS[2]["text"], "year": 1}]


def test_a_time_limit_is_an_error_in_words_of_the_command_line(folder: Path) -> None:
    message = fails("search", folder, "boat", "--timeout", "1e-9")
    assert "--timeout" in message and "timeout=" not in message


def test_delete_by_id_and_by_filter(folder: Path) -> None:
    assert ok("delete", folder, "茶", "nobody").out.startswith("1 document deleted; 1 not found")
    assert ok("delete", folder, "--where", "year < 2010", "--json").json["deleted"] == 2
    assert [row["id"] for row in vs.open(folder).to_arrow(["id"]).to_pylist()] == ["ship"]


def test_info_versions_build_and_compact(folder: Path) -> None:
    info = ok("info", folder, "--json").json
    assert (info["documents"], info["dim"], info["metric"], info["embedder"]) == (
        4,
        64,
        "cosine",
        "toy:64",
    )
    shown = ok("info", folder).out
    for words in (
        "documents",
        "toy:64",
        "64 × float32, cosine",
        "id (string), text (string), year (int64), tags (list<",
    ):
        assert words in shown
    ok("build", folder)
    ok("delete", folder, "bus")
    before = ok("search", folder, "boat", "--json").json["hits"]
    compacted = ok("compact", folder, "--json").json
    assert compacted["before"]["deleted_rows"] == 1
    assert compacted["after"]["deleted_rows"] == 0
    assert ok("search", folder, "boat", "--json").json["hits"] == before
    listed = ok("versions", folder, "--json").json["versions"]
    assert [item["documents"] for item in listed][-1] == 3
    assert str(listed[-1]["version"]) in ok("versions", folder).out
    old = next(item["version"] for item in listed if item["documents"] == 4)
    assert ok("info", folder, "--version", old, "--json").json["documents"] == 4
    assert len(ok("search", folder, "boat", "--version", old, "--json").json["hits"]) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("search", "nowhere.vs", "boat"), "nowhere.vs"),
        (("info", "nowhere.vs"), "nowhere.vs"),
        (("ingest", ".", "new.vs", "--embedder", "tyo:8"), "did you mean 'toy'?"),
        (
            ("ingest", ".", "new.vs", "--embedder", "toy:8", "--metric", "ip", "--dim", "9"),
            "dim is 9",
        ),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails(*words)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("boat", "--where", "yaer > 2000"), "year"),
        (("boat", "-k", "0"), "k is 0"),
        (("boat", "--columns", "colour"), "colour"),
        (("boat", "--recall", "2"), "recall is 2"),
        (("boat", "--version", "99"), "99"),
    ],
)
def test_a_wrong_search_is_one_line(folder: Path, options: tuple[str, ...], message: str) -> None:
    assert message in fails("search", folder, *options)


@pytest.mark.parametrize(
    "words",
    [
        ("search", "c.vs"),
        ("search", "c.vs", "boat", "--queries", "q.txt"),
        ("search", "c.vs", " "),
        ("search", "c.vs", "boat", "--csv", "--json"),
        ("get", "c.vs"),
        ("search", "c.vs", "boat", "-k", "many"),
        ("delete", "c.vs"),
        ("update", "c.vs", "--set", "a=1"),
        ("update", "c.vs", "--all", "--set", "a"),
        ("search", "c.vs", "boat", "--ids", "nowhere.txt"),
        ("ingest", "c.vs"),
        ("ingest", "nowhere.csv", "c.vs"),
        ("ingest", "a.csv", "c.vs", "--on-conflict", "ignore"),
        ("no-such-command",),
    ],
)
def test_a_usage_error_exits_with_2(words: tuple[str, ...]) -> None:
    assert fails(*words, code=2)


def test_debug_lets_the_exception_through() -> None:
    answer = Answer("info", "nowhere.vs", "--debug")
    assert isinstance(answer.exception, vs.CollectionNotFoundError)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (
            ZeroDivisionError("by\nzero"),
            1,
            "error: unexpected ZeroDivisionError: by zero (--debug shows where)",
        ),
        (
            PermissionError(13, "Permission denied", "c.vs"),
            1,
            "error: [Errno 13] Permission denied: 'c.vs'",
        ),
    ],
)
def test_unexpected_errors_are_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    def broken(*_: object) -> Iterator[None]:
        raise error

    monkeypatch.setattr(info, "open_for", broken)
    answer = Answer("info", "c.vs")
    assert answer.code == code
    assert answer.err.startswith(message)
    assert "Traceback" not in answer.err


def test_json_replaces_what_it_cannot_express(capsys: pytest.CaptureFixture[str]) -> None:
    value = {
        "nan": math.nan,
        "day": datetime.date(2024, 2, 29),
        "raw": b"\x00\xff",
        "all": [math.inf, 1.5],
        "字": "茶",
        "flag": True,
    }
    terminal.print_json(value)
    line = capsys.readouterr().out
    assert "茶" in line
    assert json.loads(line) == {
        "nan": None,
        "day": "2024-02-29",
        "raw": "AP8=",
        "all": [None, 1.5],
        "字": "茶",
        "flag": True,
    }


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1536, "1.5 KB"),
        (5 * 1024**2, "5.0 MB"),
        (3 * 1024**4, "3.0 TB"),
        (2 * 1024**5, "2,048.0 TB"),
    ],
)
def test_sizes_for_people(size: int, shown: str) -> None:
    assert shown_bytes(size) == shown


def test_version_and_help() -> None:
    assert ok("--version").out == f"vecsearch {vs.__version__}\n"
    shown = ok("--help").out
    groups = [group.typer_instance for group in app.app.registered_groups]
    commands = [command for group in groups for command in group.registered_commands]
    assert len(commands) == 50
    names = [command.name or command.callback.__name__.replace("_", "-") for command in commands]
    assert all(f" {name} " in shown for name in names)


def stdout_of(*words: object) -> str:
    return ok(*words).out


def test_ingest_says_what_it_left_out_and_how_it_read(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.txt").write_text("fine")
    (docs / "b.txt").write_bytes("今天天气很好".encode("gbk"))
    (docs / "empty.txt").write_text("")
    (docs / "c.odd").write_text("x")
    (docs / "d.txt").write_bytes("Müller".encode("latin-1"))
    message = fails("ingest", docs / "d.txt", tmp_path / "n.vs", "--embedder", "toy:16")
    assert "d.txt: byte 1" in message
    assert "--encoding latin-1" in message
    shown = stdout_of("ingest", docs, tmp_path / "n.vs", "--embedder", "toy:16")
    assert "2 documents added" in shown
    assert "b.txt was read as GB18030 (GBK)" in shown
    assert "skipped: empty.txt (empty), d.txt (byte 1 is not UTF-8" in shown
    assert "files of other kinds left out: 1 .odd" in shown


def test_ingest_takes_csv_options(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("# a comment\nid|text|n\n1|'a|b'|-\n2|c|5\n")
    ok(
        *(
            "ingest",
            path,
            tmp_path / "n.vs",
            "--embedder",
            "toy:16",
            "--delimiter",
            "|",
            "--quote",
            "'",
        ),
        *("--comment", "#", "--null", "-"),
    )
    with vs.open(tmp_path / "n.vs") as c:
        assert [(row["text"], row["n"]) for row in c.get([1, 2])] == [("a|b", None), ("c", 5)]


def test_control_characters_of_documents_are_shown_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    row = {"id": "i\x1b[2J", "text": "a \x1b]0;title\x07 b \x9b2J"}
    path.write_text(json.dumps(row), encoding="utf-8")
    ok("ingest", path, tmp_path / "n.vs", "--embedder", "toy:16")
    for options in ((), ("--columns", "id"), ("--json",)):
        shown = stdout_of("search", tmp_path / "n.vs", "a", *options)
        assert not set("\x1b\x07\x9b") & set(shown)
    assert "\\x1b]0;title" in stdout_of("search", tmp_path / "n.vs", "a")


def test_columns_called_as_a_hits_own_have_another_heading(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", embedder="toy:8", chunker=True) as c:
        c.add([{"id": 1, "text": "a boat", "score": 321, "rank": 7, "span": "s", "year": 2}])
    found = ok("search", tmp_path / "c.vs", "a boat", "--columns", "score,rank,span,year").out
    assert found.splitlines()[0].split() == [
        "rank", "score", "score_", "rank_", "span_", "year", "document"
    ]  # fmt: skip
    assert found.splitlines()[1].split()[:7] == ["1", "1.000", "321", "7", "s", "2", "1"]


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-8-sig", "utf-16"])
def test_questions_are_read_in_the_encodings_of_data(tmp_path: Path, encoding: str) -> None:
    with vs.create(tmp_path / "c.vs", embedder="toy:8") as c:
        c.add(["怎么退货"])
    questions = tmp_path / "q.txt"
    questions.write_bytes("這本書的價格\n向量檢索的準確率\n".encode(encoding))
    found = ok("search", tmp_path / "c.vs", "--queries", questions).out
    assert "1  這本書的價格" in found and "2  向量檢索的準確率" in found
    questions.write_bytes("Müller\n".encode("latin-1"))
    for command in ("search", "measure", "build"):
        words = fails(command, tmp_path / "c.vs", "--queries", questions)
        assert "q.txt: byte 1 is not UTF-8" in words
