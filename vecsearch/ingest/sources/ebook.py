"""E-books (EPUB) -> text, chapter after chapter."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree import ElementTree

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import SourceFile
from vecsearch.ingest.sources.document import Document, open_zip
from vecsearch.ingest.sources.markup import decoded, html_document

_CONTAINER = "META-INF/container.xml"
_PAGES = ("application/xhtml+xml", "text/html")


def read_epub(file: SourceFile) -> Iterator[Document]:
    """The chapters in their order, with Markdown's headings."""
    with open_zip(file) as archive:
        names = set(archive.namelist())
        if "META-INF/encryption.xml" in names and "META-INF/rights.xml" in names:
            raise InvalidInputError(f"{file.name} is encrypted by its publisher")
        package = _package_of(archive, names, file.name)
        tree = ElementTree.fromstring(archive.read(package))
        title = tree.findtext(".//{*}metadata/{*}title")
        items = {
            item.get("id"): item.get("href", "")
            for item in tree.iterfind(".//{*}manifest/{*}item")
            if item.get("media-type") in _PAGES
        }
        order = [entry.get("idref") for entry in tree.iterfind(".//{*}spine/{*}itemref")]
        chapters = []
        for name in order:
            if name not in items:
                continue
            path = posixpath.join(posixpath.dirname(package), unquote(items[name]))
            path = posixpath.normpath(path)
            if path in names:
                page = decoded(archive.read(path))
                if page is not None:
                    chapters.append(html_document(page).text)
    yield Document("\n\n".join(filter(None, chapters)), (title or "").strip() or None)


def _package_of(archive: zipfile.ZipFile, names: set[str], file_name: str) -> str:
    """The file inside an e-book that lists its chapters."""
    found = None
    if _CONTAINER in names:
        tree = ElementTree.fromstring(archive.read(_CONTAINER))
        root = tree.find(".//{*}rootfile")
        found = None if root is None else root.get("full-path")
    if found not in names:
        raise InvalidInputError(f"{file_name} is no e-book: it does not say where its chapters are")
    assert found is not None
    return found
