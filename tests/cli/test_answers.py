"""What commands print: documents, prompts, formats, help, completion, terminals of other kinds."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import typer
from test_cli import DOCUMENTS, Answer, fails, ok
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli import complete, tables, terminal
from vecsearch.cli.app import PANELS, app

TEXT = "We met at noon. The wifi password is on the fridge door! Bring cake."
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with vs.create(tmp_path / "notes.vs", embedder="toy:64") as c:
        c.add(DOCUMENTS)
    return tmp_path / "notes.vs"


def run(*words: object, stdin: str = "") -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# -- documents without a search


def test_get_shows_documents_and_names_missing_ones(folder: Path) -> None:
    shown = ok("get", folder, "ship").out
    assert [line.split(maxsplit=1) for line in shown.splitlines()] == [
        ["id", "ship"],
        ["text", "a large ship at sea"],
        ["year", "2,021"],
        ["tags", '["water", "steel"]'],
    ]
    answer = Answer("get", folder, "茶", "nobody", "--columns", "year", "--json")
    assert answer.code == 1 and "no document has the id nobody" in answer.err
    assert json.loads(answer.out) == {"documents": [{"year": 2024}], "missing": ["nobody"]}
    assert rows_of(ok("get", folder, "bus", "boat", "--csv").out)[0]["text"] == DOCUMENTS[2]["text"]
    lines = ok("get", folder, "bus", "boat", "--table", "--columns", "id,year").out.splitlines()
    assert [line.split() for line in lines] == [["id", "year"], ["bus", "2003"], ["boat", "1999"]]


def test_list_and_count_agree_with_the_collection(folder: Path) -> None:
    assert ok("count", folder).out == "4\n"
    assert ok("count", folder, "--where", "year > 2000", "--json").json == {"documents": 3}
    answer = ok("list", folder, "--where", "year > 2000", "-k", "2", "--json").json
    assert answer["total"] == 3
    assert answer["documents"] == [DOCUMENTS[1], DOCUMENTS[2]]
    shown = ok("list", folder, "-k", "3").out.splitlines()
    assert shown[0].split() == ["id", "text", "year", "tags"]
    assert shown[1].split()[0] == "boat" and shown[-1] == "3 of 4 documents; -k shows more"
    assert ok("list", folder, "--where", "year = 1").out == "no document matches\n"
    assert [row["id"] for row in rows_of(ok("list", folder, "--csv").out)] == [
        "boat", "ship", "bus", "茶"
    ]  # fmt: skip


def test_list_shows_whole_documents_of_a_chunked_collection(tmp_path: Path) -> None:
    text = "First sentence here. Second sentence there. Third one at the end of it all. " * 4
    with vs.create(tmp_path / "c.vs", embedder="toy:16", chunker=60) as c:
        c.add([{"id": n, "text": f"{n} {text}"} for n in range(3)])
        assert c.info().rows > 6
        assert [row["id"] for row in c.head(2)] == [0, 1]
        assert c.head(9, where="text LIKE '%First%Third%'")[2]["text"] == f"2 {text}"
    documents = ok("list", tmp_path / "c.vs", "--json").json["documents"]
    assert [row["text"] for row in documents] == [f"{n} {text}" for n in range(3)]


# -- searches


def test_questions_are_asked_one_after_another(folder: Path) -> None:
    found = run("search", folder, "-k", "1", "--json", stdin="a boat\n热茶\n\nignored\n")
    answers = [json.loads(line) for line in found.splitlines()]
    assert [answer["query"] for answer in answers] == ["a boat", "热茶"]
    assert [answer["hits"][0]["id"] for answer in answers] == ["boat", "茶"]
    assert "boat" in run("search", folder, "-k", "1", stdin="a boat\n")
    assert "give a question" in fails("search", folder, code=2)


def test_the_model_is_loaded_once_for_all_questions(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecsearch.embedders import stored

    loaded = []
    real = stored.resolve_embedder

    def counted(*args: object, **options: object) -> object:
        loaded.append(1)
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(stored, "resolve_embedder", counted)
    run("search", folder, stdin="one\ntwo\nthree\n")
    assert len(loaded) == 1


@pytest.mark.parametrize("blank", ["", "  ", "\t", "\u3000"])
def test_an_empty_question_is_a_usage_error(folder: Path, blank: str) -> None:
    assert "empty" in fails("search", folder, blank, code=2)


def test_csv_and_tables_hold_what_json_does(folder: Path) -> None:
    wanted = ok("search", folder, "a boat", "--json").json["hits"]
    found = rows_of(ok("search", folder, "a boat", "--csv").out)
    assert [row["id"] for row in found] == [hit["id"] for hit in wanted]
    assert [float(row["score"]) for row in found] == pytest.approx(
        [hit["score"] for hit in wanted], abs=1e-6
    )
    assert [json.loads(row["tags"]) for row in found] == [hit["tags"] for hit in wanted]
    lines = ok("search", folder, "a boat", "--table", "--columns", "year").out.splitlines()
    assert lines[0].split() == ["rank", "score", "id", "year"] and len(lines) == 5
    assert lines[1].split() == ["1", f"{wanted[0]['score']:.3f}", "boat", "1999"]
    several = run("search", folder, "-k", "1", "--csv", stdin="a boat\n热茶\n")
    assert several.count("query_id") == 1
    assert [row["query"] for row in rows_of(several)] == ["a boat", "热茶"]


def test_the_plan_is_an_object_in_json(folder: Path) -> None:
    plan = ok("search", folder, "a boat", "--json").json["plan"]
    assert (plan["method"], plan["rows"], plan["recall"]) == ("exact", 4, 1.0)
    assert "rows on" in plan["reason"]


def test_the_sentence_that_answers_is_shown(tmp_path: Path) -> None:
    text = "Nothing of interest here. " * 30 + TEXT
    with vs.create(tmp_path / "c.vs", embedder="toy:64", chunker=None) as c:
        c.add([{"id": 1, "text": text}])
        hits = c.search("the wifi password on the fridge door")
        (mark,) = hits.highlights()
    shown = " ".join(
        ok("search", tmp_path / "c.vs", "wifi password on the fridge door").out.split()
    )
    assert "1 … The wifi password is on the fridge door! Bring cake." in shown
    assert mark is not None
    snippet = tables.snippet(mark, "", 100)
    styles = {snippet.plain[part.start : part.end]: str(part.style) for part in snippet.spans}
    assert any("bold" in style and "underline" in style for style in styles.values())
    assert snippet.plain.startswith("… The wifi")


def test_page_numbers_stand_beside_the_id(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", embedder="toy:64", chunker=60) as c:
        c.add([{"id": "a.pdf", "text": "Page one is about boats.\fPage two is about cars."}])
        pages = [hit.page for hit in c.search("cars", passages=True)]
    shown = ok("search", tmp_path / "c.vs", "page two is about cars", "-k", "1").out
    assert 2 in pages and "a.pdf  page 2" in shown
    answer = ok("search", tmp_path / "c.vs", "page two is about cars", "-k", "1", "--json").out
    assert json.loads(answer)["hits"][0]["page"] == 2


# -- what reaches the terminal


HOSTILE = "a\x1b[2J \x1b]0;t\x07 \x9b2J \u202egnp.exe \r\n tab\there \u2067x \x00"


def test_nothing_of_a_document_controls_the_terminal(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", embedder="toy:16") as c:
        c.add([{"id": HOSTILE.replace("\x00", ""), "text": HOSTILE, "x": HOSTILE, "z": [HOSTILE]}])
    for command in (
        ("search", "a"),
        ("search", "a", "--columns", "x,z"),
        ("search", "a", "--table"),
        ("search", "a", "--json"),
        ("list",),
        ("list", "--json"),
        ("info",),
    ):
        out = ok(command[0], tmp_path / "c.vs", *command[1:]).out
        assert not set("\x1b\x07\x9b\u202e\u2067\x00") & set(out), command
    shown = ok("get", tmp_path / "c.vs", HOSTILE.replace("\x00", "")).out
    assert not set("\x1b\x07\x9b\u202e\r") & set(shown)
    assert "tab" in shown and "here" in shown and "\\x1b[2J" in shown


def test_csv_is_escaped_on_a_terminal_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables.print_csv(["a"], [["\x1b[2J"]])
    assert capsys.readouterr().out == "a\n\x1b[2J\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    tables.print_csv(["a"], [["\x1b[2J"]])
    assert capsys.readouterr().out == "a\n\\x1b[2J\n"


THREE_SEARCHES = """
import sys
from vecsearch.cli import main
searched = sys.argv[1:]
for number, options in enumerate((["--json"], ["--table"], [])):
    print(end="\\f" * (number > 0))
    sys.argv = ["vecsearch", "search", *searched, *options]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
"""


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "latin-1"])
def test_a_terminal_without_unicode_gets_what_it_can_show(tmp_path: Path, encoding: str) -> None:
    with vs.create(tmp_path / "c.vs", embedder="toy:16") as c:
        c.add([{"id": 1, "text": "热茶 🍵 é → …"}])
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", THREE_SEARCHES, str(tmp_path / "c.vs"), "茶"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    in_json, *others = done.stdout.decode(encoding).split("\f")
    assert json.loads(in_json)["hits"][0]["text"] == "热茶 🍵 é → …"
    assert len(others) == 2
    for text in others:
        assert "?" in text
        assert ("热茶" in text) == (encoding == "gbk")


def test_piped_lines_have_no_trailing_blanks(folder: Path) -> None:
    for command in ("search boat", "info", "versions", "list", "get ship"):
        name, *rest = command.split()
        lines = ok(name, folder, *rest).out.splitlines()
        assert len(lines) > 1 and [line for line in lines if line != line.rstrip()] == []


def test_errors_wrap_between_words_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    console = terminal._SafeConsole(file=shown, force_terminal=True, width=40, color_system=None)
    monkeypatch.setattr(terminal, "err", console)
    with pytest.raises(typer.Exit):
        terminal._fail("the file d.txt: byte 1 is not UTF-8, which is what the file should be", 1)
    lines = shown.getvalue().splitlines()
    assert len(lines) == 2 and all(len(line) <= 40 for line in lines)
    assert " ".join(line.strip() for line in lines).endswith("what the file should be")


def test_numbers_are_on_the_right_and_the_best_row_is_bold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = io.StringIO()
    console = terminal._SafeConsole(
        file=shown, force_terminal=True, width=60, highlight=False, legacy_windows=False
    )
    monkeypatch.setattr(tables, "out", console)
    tables.print_table(["recipe", "cost"], [["a", "9 µs"], ["b", "10.5 µs"], ["c", "-"]], best=0)
    lines = shown.getvalue().splitlines()
    assert "\x1b[1m" in lines[1] and "\x1b[1m" not in lines[2]
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in lines]
    assert plain == ["recipe     cost", "a          9 µs", "b       10.5 µs", "c             -"]


# -- folders that are no collections, versions, builds


def test_a_folder_of_files_is_told_from_a_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my notes").mkdir()
    (tmp_path / "my notes" / "a.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    for command in (("search", "my notes", "x"), ("info", "my notes"), ("count", "my notes")):
        message = fails(*command)
        assert "my notes is a folder of files, not a collection" in message
        assert "`vecsearch ingest 'my notes' 'my notes.vs'`" in message
    assert "a.txt is a file, not a collection" in fails("info", "my notes/a.txt")
    assert "there is no collection" in fails("info", "empty")
    with pytest.raises(vs.CollectionNotFoundError, match=r"vecsearch\.create") as caught:
        vs.open("my notes")
    assert "ingest" not in str(caught.value)


def test_versions_say_when_what_and_how_much(folder: Path) -> None:
    ok("delete", folder, "bus")
    lines = ok("versions", folder).out.splitlines()
    assert lines[0].split() == ["version", "created", "operation", "documents", "change", "size"]
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d"
    assert re.search(rf"2  {when}  documents added +4 documents +\+4 +\S+ KB", lines[2])
    assert re.search(r"3  .* documents deleted +3 documents +−1 +\S+ KB", lines[3])
    found = vs.open(folder).versions()
    assert found[0].bytes == 0 < found[1].bytes


def test_bench_finds_out_first_whether_it_can_write(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    measured = []

    def measure(*_: object, **__: object) -> dict[str, object]:
        measured.append(1)
        raise vs.InvalidInputError("stop here")

    monkeypatch.setattr(vs.Collection, "bench", measure)
    (tmp_path / "file").write_text("")
    message = fails("bench", folder, "--output", tmp_path / "file" / "report")
    assert "file" in message and not measured
    fails("bench", folder, "--output", tmp_path / "new" / "deep" / "report")
    assert measured and (tmp_path / "new" / "deep").is_dir()


# -- help and completion


def help_of(*words: str, columns: int = 100) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": str(columns)})
    assert result.exit_code == 0
    return result.stdout


def test_commands_are_sorted_into_panels() -> None:
    shown = help_of()
    places = [shown.index(f" {panel} ─") for panel in PANELS]
    assert places == sorted(places)
    start = shown[places[0] : places[1]]
    listed = [line.split()[1] for line in start.splitlines()[1:] if line[2:3].isalpha()]
    assert listed[:4] == ["ingest", "search", "info", "demo"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_in_examples_and_has_values_in_upper_case(command: str) -> None:
    shown = help_of(command)
    usage = next(line for line in shown.splitlines() if "Usage:" in line)
    assert re.search(rf"Usage: \S+ {command}( \[?[A-Z]+(\.\.\.)?\]?)* \[OPTIONS\]", usage), usage
    assert not re.search(r"<(int|str|path|bool|float|list)", shown)
    examples = shown.partition("Examples:")[2]
    lines = [line.strip() for line in examples.splitlines() if line.strip().startswith("vecsearch")]
    assert lines, "no examples"


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_use_commands_and_options_that_exist(command: str) -> None:
    group = typer.main.get_command(app)
    epilog = group.commands[command].epilog  # type: ignore[attr-defined]
    for line in epilog.split("\n\n")[1:]:
        name, *words = line.replace("\\[", "[").split()[1:]
        known = {
            option
            for parameter in group.commands[name].params  # type: ignore[attr-defined]
            for option in parameter.opts
        } | {"--help"}
        assert {word for word in words if re.match(r"--?[a-z]", word)} <= known, line


def test_the_shell_completes_names(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "other.txt").write_text("")
    assert list(complete.collections("no")) == ["notes/", "notes.vs"]
    assert list(complete.collections("notes/")) == []
    assert "low-memory" in list(complete.recipes("low"))
    assert list(complete.models("all-M")) == ["all-MiniLM-L6-v2"]

    class Context:
        params: ClassVar[dict[str, object]] = {"folder": folder}

    assert list(complete.columns(Context(), "te")) == ["text"]  # type: ignore[arg-type]
    assert list(complete.columns(Context(), "text,y")) == ["text,year"]  # type: ignore[arg-type]
    assert list(complete.assignments(Context(), "y")) == ["year="]  # type: ignore[arg-type]
    Context.params = {"folder": tmp_path / "nowhere"}
    assert list(complete.columns(Context(), "")) == []  # type: ignore[arg-type]


def test_every_option_of_a_model_completes_models() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = [
        (name, option)
        for name, command in commands.items()
        for option in command.params
        if option.name == "embedder"
    ]
    assert {"ingest", "sync", "demo", "reembed"} <= {name for name, _ in options}
    for name, option in options:
        found = option.shell_complete(None, "use:m")
        assert [item.value for item in found] == ["use:multilingual"], name


def test_completion_reaches_the_shell(folder: Path) -> None:
    environment = {
        **os.environ,
        "_VECSEARCH_COMPLETE": "complete_bash",
        "COMP_WORDS": f"vecsearch search {folder} x --columns ye",
        "COMP_CWORD": "5",
    }
    code = "import sys; sys.argv[0] = 'vecsearch'; from vecsearch.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["year"], done.stderr
