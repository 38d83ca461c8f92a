"""Folders, paths, and lists that may be of paths or of texts."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.sources import Write, refused, rows, texts

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import open_source, registry
from vecsearch.ingest.sources.base import Part, SourceFile
from vecsearch.ingest.sources.document import Document


def test_a_folder_of_texts_becomes_documents_by_path(write: Write, tmp_path: Path) -> None:
    write("docs/b/notes.md", "# Notes\r\n")
    write("docs/a.TXT", "\ufeffone")
    write("docs/中/文.txt", "你好", "gb18030")
    write("docs/packed.txt.gz", "packed")
    write("docs/.hidden/x.txt", "no")
    write("docs/.x.txt", "no")
    write("docs/data.csv", "no")
    source = open_source(tmp_path / "docs")
    assert (source.name, source.total) == ("docs/", 4)
    expected = [
        {"id": "a.TXT", "text": "one"},
        {"id": "b/notes.md", "text": "# Notes\r\n"},
        {"id": "packed.txt.gz", "text": "packed"},
        {"id": "中/文.txt", "text": "你好"},
    ]
    assert texts(tmp_path / "docs", batch_rows=3) == texts(str(tmp_path / "docs")) == expected
    named = texts(tmp_path / "docs" / "a.TXT", text_column="body")
    assert named == [{"id": "a.TXT", "body": "one"}]


def test_linked_folders_are_read_once(write: Write, tmp_path: Path) -> None:
    write("docs/real/x.txt", "x")
    write("elsewhere/y.txt", "y")
    (tmp_path / "docs" / "a link to real").symlink_to("real")
    (tmp_path / "docs" / "real" / "loop").symlink_to("..")
    (tmp_path / "docs" / "out").symlink_to("../elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to("../docs")
    assert [row["id"] for row in rows(tmp_path / "docs")] == ["out/y.txt", "real/x.txt"]
    (tmp_path / "docs" / "up").symlink_to("..")
    (tmp_path / "elsewhere" / "disk").symlink_to("/")
    assert [row["id"] for row in rows(tmp_path / "docs")] == ["out/y.txt", "real/x.txt"]
    source = open_source(tmp_path / "docs")
    assert sum(batch.num_rows for batch in source.batches) == 2
    around = {each.file: each.reason for each in source.reading.report().skipped_files}
    assert around == dict.fromkeys(["out/disk/", "up/"], "a link to a folder around this one")
    (tmp_path / "docs" / "up").unlink()
    (tmp_path / "elsewhere" / "disk").unlink()
    (tmp_path / "docs" / "nowhere.txt").symlink_to("gone")
    source = open_source(tmp_path / "docs")
    assert sum(batch.num_rows for batch in source.batches) == 2
    (skipped,) = source.reading.report().skipped_files
    assert skipped.file == "nowhere.txt" and "No such file" in skipped.reason


def test_a_new_kind_of_file_is_one_line(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_shouted(file: SourceFile) -> Iterator[Document]:
        yield Document(file.path.read_text().upper())

    def read_words(file: SourceFile) -> Part:
        schema = pa.schema([("word", pa.string())])
        batch = pa.record_batch([file.path.read_text().split()], schema=schema)
        return Part(file.name, batch.num_rows, schema, lambda wanted: iter([batch]))

    monkeypatch.setitem(registry.DOCUMENTS, ".shout", read_shouted)
    monkeypatch.setitem(registry.TABLES, ".words", read_words)
    document, words = write("a.shout", "one text"), write("b.words", "two words")
    assert texts(document) == texts([str(document)]) == [{"id": "a.shout", "text": "ONE TEXT"}]
    assert rows(words) == [{"word": "two"}, {"word": "words"}]
    assert texts(tmp_path) == [{"id": "a.shout", "text": "ONE TEXT"}]
    refused(write("c.odd", ""), ".shout")


def test_gzipped_files_of_binary_kinds_are_refused(write: Write) -> None:
    for name in ("v.npy.gz", "v.h5.gz", "v.faiss.gz", "v.parquet.gz"):
        kind = Path(name.removesuffix(".gz")).suffix
        refused(write(name, b"content"), f"{name}: a gzipped {kind} file", "unpack it")


def test_a_folder_without_texts_is_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "is empty")
    write("others/t.odd", "id\n1\n")
    refused(tmp_path / "others", "holds no ", "files of other kinds left out: 1 .odd")


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are always Unicode")
def test_a_file_name_that_is_not_unicode_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_text("x")
    (tmp_path / "y.txt").write_text("y")
    source = open_source(tmp_path)
    assert sum(batch.num_rows for batch in source.batches) == 1
    (skipped,) = source.reading.report().skipped_files
    assert "not valid Unicode" in skipped.reason
    refused(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")), "not valid Unicode")


def test_a_missing_file_or_an_unknown_kind_is_refused(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused("nope.csv", "there is no file or folder 'nope.csv'")
    refused(Path("nope.csv"), "there is no file or folder 'nope.csv'")
    refused("how do plants make food", "give a list: [text]")
    refused("植物如何制造食物？", "give a list: [text]")
    refused("long " * 5000, "there is no file", "…")
    refused("nul\0.csv", "there is no file")
    refused(
        write("t.odd", ""),
        "t.odd",
        ".parquet, .csv, .tsv, .json, .jsonl, .ndjson, .arrow, .feather, .xlsx, .npy, .h5",
        ".txt, .md",
    )
    refused(write("t.json", "[]"), "t.json", ".jsonl")
    os.mkfifo("pipe.csv")
    refused("pipe.csv", "pipe")


def test_paths_of_mixed_kinds_are_read_together(write: Write, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "n": pa.array([1], pa.int8())}), tmp_path / "a.parquet")
    csv_path = write("b.csv", "id,n,day\nx1,1.5,2020-01-01\n")
    jsonl = write("c.jsonl", '{"id": "c", "text": "t"}\n')
    write("docs/d.md", "d")
    paths = [tmp_path / "a.parquet", csv_path, jsonl, tmp_path / "docs"]
    nothing = {"id": None, "n": None, "day": None, "text": None}
    expected = [
        {**nothing, "id": "a", "n": 1.0},
        {**nothing, "id": "x1", "n": 1.5, "day": dt.date(2020, 1, 1)},
        {**nothing, "id": "c", "text": "t"},
        {**nothing, "id": "d.md", "text": "d"},
    ]
    assert texts(paths) == texts(iter(paths), batch_rows=1) == expected
    assert rows([str(path) for path in paths[:3]]) == expected[:3]
    source = open_source(paths)
    assert (source.name, source.total) == ("4 files", 4)
    refused([*paths, 5], "item 4", "int")


@pytest.mark.parametrize("folders", [0, 1, 8, 30])
def test_the_path_of_a_missing_file_is_shown_whole(
    write: Write, tmp_path: Path, folders: int
) -> None:
    there = write("a.csv", "id\n1\n")
    missing = tmp_path.joinpath(*["a folder with a long name" + "-" * 80] * folders, "nope.csv")
    refused(missing, f"there is no file or folder {str(missing)!r}")
    refused(str(missing), f"there is no file or folder {str(missing)!r}")
    refused([there, missing], f"there is no file or folder {str(missing)!r}")
    refused([str(there), str(missing)], f"{str(missing)!r} is none")
    refused(Path("x" * 300 + ".csv"), "x" * 300 + ".csv")


def test_a_text_given_for_a_path_is_shown_in_short() -> None:
    for text in ("how do plants make food? " * 40, "long " * 5000, "a/" * 3000 + "b"):
        with pytest.raises(InvalidInputError, match="there is no file or folder") as caught:
            open_source(text)
        assert len(str(caught.value)) < 250
        assert f"{text[:30]}" in str(caught.value) and f"{text[-30:]}'" in str(caught.value)


def test_files_without_a_common_type_of_a_column_are_refused(write: Write) -> None:
    one, two = write("one.jsonl", '{"id": 1}\n'), write("two.jsonl", '{"id": "x"}\n')
    refused([one, two], "'id'", "int64", "one.jsonl", "string", "two.jsonl")


def test_csv_files_that_differ_are_read_as_text(write: Write) -> None:
    """What looks like numbers in one file is text as soon as it is in another, to the letter."""
    one, two = write("one.csv", "code,n\n1.50,1\n"), write("two.csv", "code,n\nA7,2.5\n")
    assert rows([one, two]) == [{"code": "1.50", "n": 1.0}, {"code": "A7", "n": 2.5}]


def test_a_list_of_str_is_texts_or_paths_or_an_error(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write("a.csv", "id\n1\n")
    write("b.csv", "id\n2\n")
    (tmp_path / "folder").mkdir()
    assert rows(["a.csv", "b.csv"]) == [{"id": 1}, {"id": 2}]
    assert rows(["see a.csv", "b"]) == [{"text": "see a.csv"}, {"text": "b"}]
    assert rows(["see the file c.csv"]) == [{"text": "see the file c.csv"}]
    explicit = "[Path(p) for p in …]"
    refused(["a.csv", "not a file"], "'a.csv' is a file", "'not a file' is none", explicit)
    refused(["a.csv", "c.csv"], "'c.csv' is none", explicit)
    refused(["c.csv"], "no file 'c.csv'", explicit)
    refused(["folder"], "'folder' is a folder", explicit)
    refused(iter(["a.csv"]), "'a.csv', is a file", explicit)
    assert rows([{"text": text} for text in ("a.csv", "folder")]) == [
        {"text": "a.csv"},
        {"text": "folder"},
    ]
