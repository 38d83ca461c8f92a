"""Files of every kind that is read, made by the writers of others, each with a fact of its own."""

from __future__ import annotations

import json
import mailbox
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

FACTS = {
    "notes/garden.txt": "Tomatoes ripen on the southern windowsill.",
    "notes/router.md": "The password of the guest wifi hangs on the fridge door.",
    "notes/page.html": "Lighthouses flash a pattern of their own.",
    "report.pdf": "The zeppelin carried a grand piano to Lakehurst.",
    "minutes.docx": "Canteen prices rise by eight percent in October.",
    "slides.pptx": "Penguins huddle in winter storms.",
    "novel.epub": "The captain buried his sextant under an olive tree.",
    "invoice.eml": "Please pay the plumber before Friday.",
    "list.mbox": "The choir rehearses in the old brewery.",
    "study.ipynb": "Regression explains most of the variance.",
    "film.srt": "Nobody leaves the submarine tonight.",
    "tool.py": "Rotates a matrix by ninety degrees clockwise.",
    "faq.csv": "Parcels travel three days to Iceland.",
    "sheet.xlsx": "Saffron costs more than silver.",
    "rows.jsonl": "Glaciers store most of the fresh water.",
    "items.json": "Bamboo grows a meter a day.",
    "红烧肉.txt": "红烧肉要先用冰糖炒出糖色，再小火慢炖一个小时。",
}
FILLER = "This sentence is here to fill the page and says nothing that anybody would ask about. "


def write_pdf(path: Path, pages: list[str], title: str = "", password: str = "") -> None:
    """A PDF file by reportlab; Chinese characters in a font that every reader has."""
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    encrypt = StandardEncryption(password, strength=128) if password else None
    canvas = Canvas(str(path), encrypt=encrypt)
    if title:
        canvas.setTitle(title)
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    for page in pages:
        canvas.setFont("Helvetica" if page.isascii() else "STSong-Light", 10)
        words, at = page.split(), 780
        while words:
            canvas.drawString(40, at, " ".join(words[:12]))
            words, at = words[12:], at - 14
        canvas.showPage()
    canvas.save()


def long_pdf(path: Path, fact: str) -> None:
    """40 pages, with the fact in the middle of page 30."""
    pages = [f"Page {number}. {FILLER * 4}" for number in range(1, 41)]
    pages[29] = f"{FILLER * 2}{fact} {FILLER * 2}"
    write_pdf(path, pages, "Annual report")


def write_docx(path: Path, fact: str) -> None:
    import docx

    document = docx.Document()
    document.core_properties.title = "Minutes of June"
    document.add_heading("Minutes", 0)
    for number in range(30):
        if number % 10 == 0:
            document.add_heading(f"Item {number}", 1)
        document.add_paragraph(FILLER * 2 if number != 21 else fact)
    table = document.add_table(2, 2)
    for row, cells in enumerate((("name", "vote"), ("Ada", "yes"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    document.save(str(path))


def write_pptx(path: Path, fact: str) -> None:
    import pptx

    show = pptx.Presentation()
    for number in range(1, 6):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = f"Slide {number}"
        slide.placeholders[1].text = fact if number == 4 else FILLER
    show.slides[0].notes_slide.notes_text_frame.text = "say hello first"
    show.save(str(path))


def write_xlsx(path: Path, rows: list[list[Any]], name: str = "Prices") -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = name
    for row in rows:
        book.active.append(row)
    book.save(path)


def write_epub(path: Path, chapters: list[str], title: str = "A Novel") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        )
        items = "".join(
            f'<item id="c{n}" href="chapter%20{n}.xhtml" media-type="application/xhtml+xml"/>'
            for n in range(len(chapters))
        )
        spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
        archive.writestr(
            "OEBPS/book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf"><metadata '
            f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></metadata>'
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
        )
        for number, text in enumerate(chapters):
            page = f"<html><body><h1>Chapter {number + 1}</h1><p>{text}</p></body></html>"
            archive.writestr(f"OEBPS/chapter {number}.xhtml", page)


def mail(subject: str, text: str, html: bool = False) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "Ada <ada@example.com>", "bob@example.com"
    message["Date"], message["Subject"] = "Mon, 02 Jun 2025 10:00:00 +0000", subject
    message.set_content(text, subtype="html" if html else "plain")
    return message


def write_folder(folder: Path) -> Path:
    """A folder with all of FACTS, and some files that cannot be read."""
    (folder / "notes").mkdir(parents=True)
    facts = {name: (folder / name, fact) for name, fact in FACTS.items()}

    def text(name: str, content: str) -> None:
        facts[name][0].write_text(content, encoding="utf-8")

    text("notes/garden.txt", f"{FILLER * 20}\n\n{FACTS['notes/garden.txt']}\n\n{FILLER * 20}")
    text("notes/router.md", f"# Router\n\n{FILLER * 20}\n\n## Wifi\n\n{FACTS['notes/router.md']}\n")
    text(
        "notes/page.html",
        "<!doctype html><title>At sea</title><script>var x = 'Lighthouses';</script><nav>Home</nav>"
        f"<h1>Lights</h1><p>{FILLER * 20}<p>{FACTS['notes/page.html']}",
    )
    long_pdf(*facts["report.pdf"])
    write_docx(*facts["minutes.docx"])
    write_pptx(*facts["slides.pptx"])
    write_epub(folder / "novel.epub", [FILLER * 20, f"{FILLER} {FACTS['novel.epub']}"])
    (folder / "invoice.eml").write_bytes(bytes(mail("Invoice", FACTS["invoice.eml"])))
    box = mailbox.mbox(folder / "list.mbox")
    box.add(mail("Hello", "Nothing to say."))
    box.add(mail("Choir", f"<p>{FACTS['list.mbox']}</p>", html=True))
    box.close()
    cells = [
        {"cell_type": "markdown", "source": ["# A study\n", FACTS["study.ipynb"]]},
        {"cell_type": "code", "source": "print(1)", "outputs": [{"text": ["secret output"]}]},
    ]
    text("study.ipynb", json.dumps({"cells": cells, "nbformat": 4, "metadata": {}}))
    text(
        "film.srt",
        "1\n00:00:01,000 --> 00:00:02,000\n<i>Good evening.</i>\n\n"
        f"2\n00:00:03,000 --> 00:00:04,000\n{FACTS['film.srt']}\n",
    )
    functions = "".join(
        f"def step_{n}(x):\n    '''{FILLER}'''\n    return x\n\n\n" for n in range(12)
    )
    text("tool.py", f"import math\n\n\n{functions}def turn(m):\n    '''{FACTS['tool.py']}'''\n")
    text("faq.csv", f"id,text,year\nq1,{FILLER},1999\nq2,{FACTS['faq.csv']},2001\n")
    write_xlsx(folder / "sheet.xlsx", [["text", "price"], [FILLER, 1], [FACTS["sheet.xlsx"], 2.5]])
    text("rows.jsonl", json.dumps({"text": FACTS["rows.jsonl"]}) + "\n")
    text("items.json", json.dumps([{"text": FILLER}, {"text": FACTS["items.json"]}]))
    text("红烧肉.txt", FACTS["红烧肉.txt"])
    (folder / "empty.txt").write_text("")
    (folder / "broken.pdf").write_bytes((folder / "report.pdf").read_bytes()[:300])
    (folder / "prog.txt").write_bytes(b"\x7fELF\xff\xfe\x00")
    write_pdf(folder / "secret.pdf", ["a secret"], password="x")
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "old.zip").write_bytes(b"PK")
    (folder / "prices.csv").write_text("item,price\nsalt,1\n")
    (folder / ".cache").mkdir()
    return folder
