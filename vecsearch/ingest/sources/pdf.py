"""PDF files -> text, page by page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from threading import Lock
from typing import Any

from vecsearch.common.deadline import check_time
from vecsearch.common.optional import require
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import SourceFile
from vecsearch.ingest.sources.document import EXTRA, Document
from vecsearch.ingest.sources.encoding import MAX_TEXT, refuse_gzip
from vecsearch.types import PAGE_END

MAX_PAGES = 50_000
_ONE_AT_A_TIME = Lock()  # PDFium is not made for threads
_HYPHEN = re.compile("[\ufffe\x02](?:\r?\n)?")  # PDFium's mark of a word that is parted
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")
_ENCRYPTED = "is encrypted; save a copy without a password"


def read_pdf(file: SourceFile) -> Iterator[Document]:
    """A PDF file; each page ends with a form feed, so that the page of a passage is known."""
    refuse_gzip(file.path, file.name, "unpack it")
    pdfium = require("pypdfium2", "pypdfium2", EXTRA, "Reading PDF files")
    with _ONE_AT_A_TIME:
        try:
            document = pdfium.PdfDocument(file.path)
        except pdfium.PdfiumError as error:
            reason = str(error)
            if "password" in reason.lower():
                raise InvalidInputError(f"{file.name} {_ENCRYPTED}") from error
            raise InvalidInputError(f"{file.name} is no PDF file, or damaged: {reason}") from error
        try:
            pages = list(_pages(document, file.name))
            title = (document.get_metadata_value("Title") or "").strip()
        finally:
            document.close()
    text = "".join(pages)
    if not text.strip():
        raise InvalidInputError(
            f"{file.name} holds no text in its {len(pages):,} pages; are they scanned pictures?"
        )
    yield Document(text, title or None)


def _pages(document: Any, name: str) -> Iterator[str]:
    count = len(document)
    if count > MAX_PAGES:
        raise InvalidInputError(f"{name} has {count:,} pages; at most {MAX_PAGES:,} are read")
    length = 0
    for number in range(count):
        check_time()
        page = document[number]
        try:
            words = page.get_textpage()
            try:
                text = words.get_text_range()
            finally:
                words.close()
        finally:
            page.close()
        length += len(text)
        if length > MAX_TEXT:
            raise InvalidInputError(
                f"{name} has more than {MAX_TEXT:,} characters, too many for one document: split it"
            )
        text = _HYPHEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
        yield _CONTROLS.sub("", text).strip() + f"\n{PAGE_END}"
