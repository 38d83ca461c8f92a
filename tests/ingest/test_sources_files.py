"""Text files in every encoding, JSON lines, Parquet and Arrow files."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.sources import TABLE, Write, ipc_bytes, refused, rows, table, texts

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import open_source

CHINESE = "id,名称,text\n1,甲,今天天气很好。\n2,乙,“我们去公园吧！”𠀀\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".jsonl", ".txt", ".md.gz"])
def test_text_files_are_read_in_every_encoding(write: Write, encoding: str, suffix: str) -> None:
    if suffix == ".jsonl":
        path = write("t.jsonl", '{"名称": "甲", "text": "今天天气很好。"}\n', encoding)
        assert rows(path) == [{"名称": "甲", "text": "今天天气很好。"}]
    elif suffix.startswith(".csv"):
        assert rows(write("t" + suffix, CHINESE, encoding)) == [
            {"id": 1, "名称": "甲", "text": "今天天气很好。"},
            {"id": 2, "名称": "乙", "text": "“我们去公园吧！”𠀀"},
        ]
    else:
        found = texts(write("t" + suffix, CHINESE, encoding))
        assert found == [{"id": "t" + suffix, "text": CHINESE}]


def test_gbk_is_found_however_late_it_shows(write: Write) -> None:
    path = write(
        "t.csv",
        b"id,text\n" + b"1,plain ascii for a long while\n" * 50_000 + "2,中文\n".encode("gbk"),
    )
    assert table(path)["text"][-1].as_py() == "中文"


def test_a_file_that_is_not_text_is_named_with_its_byte(write: Write) -> None:
    start = b"id,text\n1,"
    refused(write("t.csv", start + b"\xff\xff\n"), "t.csv", f"byte {len(start)} ", "GB18030")
    late = start + b"x" * 3_000_000
    refused(write("u.csv", late + b"\xe4\xb8\n\xff\xff"), "u.csv", f"byte {len(late)} ")
    chinese = ("今天天气很好。" * 3).encode()
    refused(
        write("v.csv", start + chinese[:-1]),
        "v.csv",
        f"byte {len(start + chinese) - 3} ",
        "not UTF-8, though the 20 letters",
    )
    refused(write("w.txt", b"\xef\xbb\xbf\xff\xff"), "w.txt", "byte 3 ", "UTF-8")
    refused(write("x.txt", "ab".encode("utf-16-le")), "x.txt", "NUL character")


def test_a_file_that_changes_while_it_is_read_is_refused(write: Write) -> None:
    for name, content in (("t.csv", "id,text\n1,a\n"), ("t.jsonl", '{"id": 1}\n')):
        source = open_source(write(name, content))
        write(name, content * 2)
        with pytest.raises(InvalidInputError, match=f"{name} changed while"):
            list(source.batches)


@pytest.mark.parametrize("name", ["t.jsonl.gz", "t.csv.gz", "t.txt.gz"])
def test_a_small_gz_file_of_much_text_takes_little_memory(
    write: Write, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(name, b"a" * 50_000_000)
    assert path.stat().st_size < 100_000
    for module in ("encoding", "csv"):
        monkeypatch.setattr(f"vecsearch.ingest.sources.{module}.MAX_TEXT", 2**20)
    tracemalloc.start()
    refused(path, name, "1,048,576 characters")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15_000_000


def test_damaged_gz_files_are_named(write: Write, tmp_path: Path) -> None:
    whole = gzip.compress(b'{"id": 1}\n' * 5000)
    for name, content in (
        ("cut.jsonl.gz", whole[:-20]),
        ("no.csv.gz", b"id,text\n"),
        ("no.arrow.gz", b"id,text\n"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, name, "not a whole gzip file")


def test_jsonl_keeps_rows_and_types(write: Write) -> None:
    lines = [
        {"id": "007", "tags": ["a", "乙"], "v": [1, 2.5]},
        {"id": "8", "late": {"x": True}},
        {"id": "9", "n": 1},
        {"n": 0.5},
    ]
    content = "\n\n".join(json.dumps(line) for line in lines) + "\r\n"
    expected = [
        {"id": "007", "tags": ["a", "乙"], "v": [1.0, 2.5], "late": None, "n": None},
        {"id": "8", "tags": None, "v": None, "late": {"x": True}, "n": None},
        {"id": "9", "tags": None, "v": None, "late": None, "n": 1.0},
        {"id": None, "tags": None, "v": None, "late": None, "n": 0.5},
    ]
    for name in ("t.jsonl", "t.ndjson", "t.jsonl.gz"):
        assert rows(write(name, content), batch_rows=1) == expected
    assert open_source(write("t.jsonl", content)).total == 4
    assert rows(write("e.jsonl", "")) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"id": 1}\n\n{bad}\n', ("line 3", "not JSON")),
        ('{"id": "x', ("line 1: not JSON: Unterminated string starting at column 8",)),
        ('[{"id": 1}]\n', ("line 1", "a list", "JSON object")),
        ('{"id": 1}\n{"id": "x"}\n', ("'id'", "int in t.jsonl, line 1", "str in t.jsonl, line 2")),
        ('{"id": 1}\n{"id": 2, "id": 3}\n', ("line 2", "duplicate key 'id'")),
        ('{"id": 1}\n{"id": 99999999999999999999}\n', ("line 2", "'id'", "64-bit")),
        ('{"id": "\\ud800"}\n', ("line 1", "'id'", "surrogate")),
        ('{"id": "a\x00"}\n', ("line 1", "NUL")),
        ('{"a":' * 5000, ("line 1", "not JSON")),
    ],
)
def test_jsonl_damage_is_named_with_its_line(
    write: Write, content: str, says: tuple[str, ...]
) -> None:
    refused(write("t.jsonl", content), "t.jsonl", *says)


def test_parquet_and_arrow_files_keep_rows_and_types(write: Write, tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=2)
    paths = [
        tmp_path / "t.parquet",
        write("f.arrow", ipc_bytes(False)),
        write("f.feather", ipc_bytes(False)),
        write("s.arrow", ipc_bytes(True)),
        write("s.arrow.gz", ipc_bytes(True)),
    ]
    for path in paths:
        assert table(path) == TABLE
        assert table(str(path), batch_rows=1) == TABLE
    assert [open_source(path).total for path in paths] == [3, 3, 3, None, None]
    assert open_source(paths[0]).name == "t.parquet"


def test_damaged_parquet_and_arrow_files_are_named(write: Write, tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    refused(write("cut.parquet", whole[:-10]), "cut.parquet", "not a whole Parquet file")
    refused(write("cut.arrow", ipc_bytes(False)[:-10]), "cut.arrow", "not a whole Arrow file")
    refused(write("short.arrow", ipc_bytes(True)[:-60]), "short.arrow", "not a whole Arrow file")
    refused(write("e.arrow", b""), "e.arrow", "not a whole Arrow file")
    refused(write("t.parquet.gz", whole), "t.parquet.gz", "unpack it")
    refused(write("f.arrow.gz", ipc_bytes(False)), "f.arrow.gz", "unpack it")
