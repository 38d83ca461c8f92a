"""HTML -> text with Markdown's headings, lists and tables."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any

from vecsearch.common.optional import require
from vecsearch.ingest.sources.base import SourceFile
from vecsearch.ingest.sources.document import EXTRA, Document
from vecsearch.ingest.sources.encoding import MAX_TEXT, TextFile, open_binary

_LEFT_OUT = frozenset(
    "script style noscript template svg nav iframe object head select button textarea".split()
)
_FORM_OF_TEXT = "p, h1, h2, h3, li, table, article, pre"  # old pages are one form as a whole
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    "address article aside blockquote body dd details dialog div dl dt fieldset figcaption figure "
    "footer form header hgroup hr main ol p pre section summary table tbody tfoot thead ul".split()
)
_DECLARED = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([A-Za-z0-9_\-]+)""", re.I)
_XML_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]{0,200}encoding\s*=\s*["']([A-Za-z0-9_\-]+)""")
# What browsers read in place of an encoding that pages name.
_READ_AS = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252", "us-ascii": "cp1252"}
_SPACE = re.compile(r"[ \t\r\n\f\xa0]+")


def read_html(file: SourceFile) -> Iterator[Document]:
    """A page of HTML: what a reader sees of its main part."""
    yield html_document(_decoded(file))


def html_document(page: str) -> Document:
    """The text of a page, and its title.

    Raises:
        MissingExtraError: selectolax is not installed.
    """
    lexbor = require("selectolax.lexbor", "selectolax", EXTRA, "Reading HTML")
    tree = lexbor.LexborHTMLParser(page)
    title = tree.css_first("title")
    heading = tree.css_first("h1")
    named = [node.text() for node in (title, heading) if node is not None]
    main = tree.css("main, [role=main]")
    root = main[0] if len(main) == 1 and main[0].text(strip=True) else tree.body
    text = "" if root is None else _Text().of(root)
    return Document(text, next((_SPACE.sub(" ", name).strip() for name in named if name), None))


def _is_left_out(node: Any) -> bool:
    """Whether a reader of the page does not see a node, or does not read it as text."""
    if node.tag in _LEFT_OUT:
        return True
    if node.tag == "form":
        return node.css_first(_FORM_OF_TEXT) is None
    return node.tag[0] not in "-_!" and "hidden" in node.attributes


class _Text:
    """Writes the text below a node."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.cells: list[list[str]] = []  # of each table row that is open: its cells so far
        self.rows: list[int] = []  # of each table that is open: its rows so far
        self.pre = 0

    def of(self, root: Any) -> str:
        """All of the text; depth costs no stack."""
        node, top = root, root.mem_id  # comparing nodes themselves writes all that is in them
        while True:
            entered = not _is_left_out(node) and self.enter(node)
            child = node.child if entered else None
            if child is not None:
                node = child
                continue
            if entered:
                self.leave(node)
            while node.next is None:
                parent = None if node.mem_id == top else node.parent
                if parent is None or parent.mem_id == top:
                    return _tidied("".join(self.parts))
                node = parent
                self.leave(node)
            if node.mem_id == top:
                return _tidied("".join(self.parts))
            node = node.next

    def enter(self, node: Any) -> bool:
        """Write what comes before the content; false for what has none to be written."""
        tag = node.tag
        if tag == "-text":
            text = node.text_content or ""
            self.write(text if self.pre else _SPACE.sub(" ", text))
            return False
        if tag in ("-comment", "_comment", "!doctype", "-doctype"):
            return False
        if tag == "br":
            self.write("\n" if not self.cells else " ")
        elif tag in ("td", "th"):
            if self.cells:
                self.cells[-1].append("")
        elif tag == "tr":
            self.cells.append([])
        elif tag in _HEADINGS:
            self.block(f"{'#' * _HEADINGS[tag]} ")
        elif tag == "li":
            self.block("- ", "\n")
        elif tag in _BLOCKS:
            self.block()
            if tag == "table":
                self.rows.append(0)
            self.pre += tag == "pre"
        return True

    def leave(self, node: Any) -> None:
        """Write what comes after the content."""
        tag = node.tag
        if tag == "tr" and self.cells:
            cells = [" ".join(cell.split()).replace("|", "\\|") for cell in self.cells.pop()]
            if any(cells):
                self.block(f"| {' | '.join(cells)} |", "\n")
                if self.rows and not self.rows[-1]:
                    self.block(f"|{' --- |' * len(cells)}", "\n")
                if self.rows:
                    self.rows[-1] += 1
        elif tag in _HEADINGS or tag in _BLOCKS:
            self.pre -= tag == "pre"
            if tag == "table" and self.rows:
                self.rows.pop()
            self.block()

    def write(self, text: str) -> None:
        """Text inside a line, or inside a cell of a table."""
        if self.cells:
            if self.cells[-1]:
                self.cells[-1][-1] += text
        else:
            self.parts.append(text)

    def block(self, start: str = "", gap: str = "\n\n") -> None:
        """The beginning of a block; inside the cell of a table, a space."""
        if self.cells:
            self.write(f" {start}" if start.startswith("|") else " ")
        else:
            self.parts.append(f"{gap}{start}")


def _tidied(text: str) -> str:
    """The text without spaces around lines' ends, and with one empty line at most."""
    text = re.sub(r"[ \t]*\n(?:[ ](?=\S))?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _decoded(file: SourceFile) -> str:
    """The page in the encoding that it names, if it is in it; else as text files are read."""
    if file.reading.encoding is None:
        with open_binary(file.path, file.name) as opened:
            data = opened.read(MAX_TEXT + 1)
        if len(data) <= MAX_TEXT and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            text = decoded(data)
            if text is not None:
                return text
    return TextFile.find(file.path, file.name, file.reading).read()


def decoded(data: bytes) -> str | None:
    """A page in UTF-8, or in the encoding that it names itself; None if it is in neither."""
    found = _DECLARED.search(data[:4096]) or _XML_DECLARED.match(data[:4096])
    named = found[1].decode("ascii").lower() if found else "utf-8"
    for encoding in ("utf-8-sig", _READ_AS.get(named, named)):
        try:
            codecs.lookup(encoding)
            return data.decode(encoding)
        except (LookupError, ValueError):
            continue
    return None
