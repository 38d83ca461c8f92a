"""Errors name file and line, and `on_error="skip"` leaves out what is wrong and reports it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.sources import Write

import vecsearch as vs
from vecsearch.ingest.bad_rows import placed


@pytest.fixture
def c(tmp_path: Path) -> vs.Collection:
    return vs.create(tmp_path / "c.vs", embedder="toy:16")


def test_an_empty_text_is_named_with_its_own_file_and_line(c: vs.Collection, write: Write) -> None:
    good = write("a.csv", "id,text\n1,a\n2,b\n")
    bad = write("b.csv", "id,text\n3,c\n4,\n")
    lines = write("c.jsonl", '{"id": 5, "text": "e"}\n\n{"id": 6, "text": " "}\n')
    pq.write_table(pa.table({"id": [7, 8], "text": ["g", None]}), good.parent / "d.parquet")
    for path, place in (
        (bad, f"{bad}, line 3"),
        (lines, f"{lines}, line 3"),
        (good.parent / "d.parquet", f"{good.parent}/d.parquet, row 1"),
    ):
        with pytest.raises(vs.InvalidInputError) as caught:
            c.add([good, path])
        assert str(caught.value).startswith(f"{place}, column 'text': the text is ")
    assert len(c) == 0
    result = c.add([good, bad, lines, good.parent / "d.parquet"], on_error="skip")
    assert (result.added, result.failed) == (5, 3)
    assert [(f.file, f.line, f.row) for f in result.report.failures] == [
        (str(bad), 3, None),
        (str(lines), 3, None),
        (str(good.parent / "d.parquet"), None, 1),
    ]
    assert sorted(c.to_arrow(["id"])["id"].to_pylist()) == [1, 2, 3, 5, 7]


def test_a_duplicate_id_names_both_files_and_lines(c: vs.Collection, write: Write) -> None:
    a, b = write("a.csv", "id,text\n1,a\n"), write("b.csv", "id,text\n2,b\n1,c\n")
    with pytest.raises(vs.DuplicateIdError) as caught:
        c.add([a, b])
    assert f"{a}, line 2 and {b}, line 3, column 'id'" in str(caught.value)
    c.add(a)
    with pytest.raises(vs.DuplicateIdError, match=r"b\.csv, line 3, column 'id': id 1 is already"):
        c.add(b)


def test_a_long_id_is_cut_in_messages(c: vs.Collection) -> None:
    rows = [{"id": "x" * 10_000_000, "text": "a"}] * 2
    with pytest.raises(vs.DuplicateIdError) as caught:
        c.add(rows)
    assert len(str(caught.value)) < 500


def test_empty_files_of_a_folder_are_left_out_and_counted(c: vs.Collection, write: Write) -> None:
    write("docs/a.txt", "one")
    write("docs/空.txt", "")
    write("docs/sub/blank.md", "\u3000\n\t")
    write("docs/x.odd", b"x")
    write("docs/y.OTHER", b"y")
    write("docs/z.odd", b"z")
    result = c.add(write("docs/b.md", "two").parent)
    assert (result.added, result.failed, result.report.empty) == (2, 0, 2)
    assert result.report.empty_files == ("sub/blank.md", "空.txt")
    assert result.report.unread == {".odd": 2, ".other": 1}
    with pytest.raises(vs.InvalidInputError, match=r"^blank\.md, column 'text': the text is empty"):
        c.add(write("blank.md", " "))


def test_a_file_that_is_not_text_is_listed_in_a_folder_and_refused_alone(
    c: vs.Collection, write: Write
) -> None:
    write("docs/a.txt", "one")
    binary = write("docs/prog.txt", b"\x7fELF\xff\xfe\x00")
    for on_error in ("raise", "skip"):
        report = c.add(binary.parent, on_conflict="skip", on_error=on_error).report
        (skipped,) = report.skipped_files
        assert (report.failed, report.skipped, skipped.file) == (0, 1, "prog.txt")
        assert skipped.reason.startswith("byte 4 is not UTF-8")
    assert len(c) == 1
    with pytest.raises(vs.InvalidInputError, match=r"prog\.txt: byte 4 is not UTF-8"):
        c.add(binary)
    result = c.add(binary, on_error="skip")
    assert (result.added, result.failed) == (0, 1)
    failure = result.report.failures[0]
    assert (failure.file, failure.line) == ("prog.txt", None)
    assert "byte 4" in failure.reason


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("t.csv", 'id,text,n\n1,a,1\n2,b\n3,"c"x,3\n4,d,4\n', [3, 4]),
        ("t.jsonl", '{"id":1,"text":"a","n":1}\n{bad}\n[1]\n{"id":4,"text":"d","n":4}\n', [2, 3]),
        (
            "t.jsonl",
            '{"id":1,"text":"a","n":1}\n{"id":2,"text":"b","n":"x"}\n{"id":4,"text":"d","n":4}\n',
            [2],
        ),
    ],
)
def test_damaged_lines_are_left_out_and_listed(
    c: vs.Collection, write: Write, name: str, content: str, lines: list[int]
) -> None:
    path = write(name, content)
    with pytest.raises(vs.InvalidInputError, match=f"line {lines[0]}"):
        c.add(path)
    result = c.add(path, on_error="skip")
    assert [failure.line for failure in result.report.failures] == lines
    assert [row["n"] for row in c.get([1, 4])] == [1, 4]
    assert result.added == 2


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "list"])
def test_values_that_do_not_fit_a_known_column_are_left_out(
    c: vs.Collection, write: Write, suffix: str
) -> None:
    c.add([{"id": 0, "text": "z", "n": 1}])
    rows: list[dict[str, Any]] = [{"id": i, "text": f"t{i}", "n": i} for i in range(1, 50)]
    rows[20]["n"] = "soon"
    data: Any = rows
    if suffix == "csv":
        body = "".join(f"{row['id']},{row['text']},{row['n']}\n" for row in rows)
        data = write("t.csv", "id,text,n\n" + body)
    elif suffix == "jsonl":
        data = write("t.jsonl", "\n".join(map(json.dumps, rows)))
    result = c.add(data, on_error="skip")
    assert (result.added, result.failed, len(c)) == (48, 1, 49)
    failure = result.report.failures[0]
    assert (failure.line, failure.row) == {
        "csv": (22, None),
        "jsonl": (21, None),
        "list": (None, 20),
    }[suffix]
    assert c.get([21]) == [None]


def test_bad_vectors_are_left_out_by_row(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "v.vs", dim=2)
    rows = [{"id": i, "vector": [1.0, float(i)]} for i in range(10_000)]
    rows[7]["vector"] = [0.0, 0.0]
    rows[9001]["vector"] = [float("nan"), 1.0]
    result = c.add(rows, on_error="skip")
    assert [failure.row for failure in result.report.failures] == [7, 9001]
    assert (result.added, len(c)) == (9998, 9998)
    assert c.get([9002]) != [None]


def test_the_report_lists_a_hundred_failures_and_counts_all(c: vs.Collection) -> None:
    rows = [{"text": "" if i % 2 else "a"} for i in range(1000)]
    report = c.add(rows, on_error="skip").report
    assert (report.failed, len(report.failures)) == (500, 100)
    assert c.to_arrow(["id"])["id"].to_pylist() == list(range(500))


def test_errors_about_columns_are_never_left_out(c: vs.Collection) -> None:
    with pytest.raises(vs.InvalidInputError, match="no text column"):
        c.add([{"title": "a"}], on_error="skip")
    with pytest.raises(vs.InvalidInputError, match="on_error is"):
        c.add([{"text": "a"}], on_error="ignore")


def test_documents_that_cannot_be_split_are_left_out_and_the_others_stay(tmp_path: Path) -> None:
    """A text that the chunker fails on fails late, when it is stored."""

    def halves(text: str) -> list[tuple[int, int]]:
        return [(0, 9), (9, 99)] if "bad" in text else [(0, 2), (2, len(text))]

    c = vs.create(tmp_path / "c.vs", embedder="toy:4", chunker=halves)
    rows = [{"id": n, "text": f"bad {n}" if n in (1, 4) else f"short {n}"} for n in range(6)]
    with pytest.raises(vs.InvalidInputError, match=r"returned the span \(0, 9\)"):
        c.add(rows)
    result = c.add(rows, on_error="skip")
    assert [failure.row for failure in result.report.failures] == [1, 4]
    assert [row and row["id"] for row in c.get([0, 1, 2, 3, 4, 5])] == [0, None, 2, 3, None, 5]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("row 3, column 'x': bad", "a.csv, line 5, column 'x': bad"),
        ("column 'x' of row 3 is bad", "column 'x' of a.csv, line 5 is bad"),
        ("column 'x' is bad", "a.csv, line 5: column 'x' is bad"),
        ("a.csv, line 5: bad", "a.csv, line 5: bad"),
        ("row 3 differs from row 4", "a.csv, line 5 differs from row 4"),
    ],
)
def test_an_error_about_a_row_names_its_place_once(message: str, expected: str) -> None:
    assert str(placed(vs.InvalidInputError(message), "a.csv, line 5")) == expected


def test_upsert_names_the_file_and_line_of_a_bad_row(c: vs.Collection, write: Write) -> None:
    c.add([{"id": 1, "text": "a"}])
    old, new = '{"id": 1, "text": ""}', '{"id": 9, "text": ""}'
    for path, place in (
        (write("a.csv", "id,text\n1,b\n2,\n"), "a.csv, line 3"),
        (write("a.jsonl", '{"id": 7, "text": "b"}\n\n\n' + old), "a.jsonl, line 4"),
        (write("b.jsonl", '{"id": 7, "text": "b"}\n\n\n' + new), "b.jsonl, line 4"),
    ):
        with pytest.raises(vs.InvalidInputError) as caught:
            c.upsert(path)
        assert str(caught.value).startswith(f"{place}, column 'text': the text is ")
    assert c.get([1, 2]) == [{"id": 1, "text": "a"}, None]


def test_broken_json_is_named_with_its_column(c: vs.Collection, write: Write) -> None:
    line = '{"id": 2, "text": "b"'
    for end in ("\n", "\r\n", ""):
        path = write("a.jsonl", f'{{"id": 1, "text": "a"}}\n{line}{end}')
        with pytest.raises(vs.InvalidInputError, match=f"line 2.* at column {len(line) + 1}$"):
            c.add(path)
