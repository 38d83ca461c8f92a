"""Word and PowerPoint files -> text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from vecsearch.common.optional import require
from vecsearch.ingest.sources.base import SourceFile
from vecsearch.ingest.sources.document import EXTRA, Document, open_zip
from vecsearch.ingest.sources.markup import html_document
from vecsearch.types import PAGE_END

MAX_DEPTH = 20  # of groups of shapes in each other
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"


def read_docx(file: SourceFile) -> Iterator[Document]:
    """A Word file: headings, paragraphs, lists, tables and footnotes."""
    mammoth = require("mammoth", "mammoth", EXTRA, "Reading Word files")
    with open_zip(file) as archive:
        title = None
        if "docProps/core.xml" in archive.namelist():
            title = ElementTree.fromstring(archive.read("docProps/core.xml")).findtext(_DC_TITLE)
    with file.path.open("rb") as opened:
        found = mammoth.convert_to_html(
            opened,
            style_map="p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh",
            convert_image=mammoth.images.img_element(lambda _: {}),
            external_file_access=False,
        )
    document = html_document(f"<body>{found.value}</body>")
    yield Document(document.text, (title or "").strip() or document.title)


def read_pptx(file: SourceFile) -> Iterator[Document]:
    """A presentation: the text of each slide and its notes; each slide ends like a page."""
    pptx = require("pptx", "python-pptx", EXTRA, "Reading PowerPoint files")
    open_zip(file).close()
    with file.path.open("rb") as opened:
        show = pptx.Presentation(opened)
        slides = [_slide_text(slide) for slide in show.slides]
        title = (show.core_properties.title or "").strip()
    if title == "PowerPoint Presentation":
        title = ""
    first = next((line[2:] for line in "".join(slides).split("\n") if line.startswith("# ")), None)
    yield Document("".join(f"{text}\n{PAGE_END}" for text in slides), title or first)


def _slide_text(slide: Any) -> str:
    title = slide.shapes.title
    parts = []
    if title is not None and title.text_frame.text.strip():
        parts.append(f"# {' '.join(title.text_frame.text.split())}")
    own = None if title is None else title.shape_id
    for shape in slide.shapes:
        if own is None or shape.shape_id != own:
            parts += _shape_texts(shape)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        parts.append(slide.notes_slide.notes_text_frame.text)
    text = "\n\n".join(part.strip() for part in parts if part.strip())
    return text.replace("\v", "\n").replace(PAGE_END, "\n")


def _shape_texts(shape: Any, depth: int = 0) -> Iterator[str]:
    if hasattr(shape, "shapes") and depth < MAX_DEPTH:
        for inner in shape.shapes:
            yield from _shape_texts(inner, depth + 1)
    elif getattr(shape, "has_table", False):
        rows = [[" ".join(cell.text.split()) for cell in row.cells] for row in shape.table.rows]
        lines = [f"| {' | '.join(cells)} |" for cells in rows]
        yield "\n".join([*lines[:1], f"|{' --- |' * len(rows[0])}", *lines[1:]])
    elif getattr(shape, "has_text_frame", False):
        yield shape.text_frame.text
