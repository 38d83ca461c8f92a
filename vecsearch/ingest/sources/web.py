"""Addresses of the web, and standard input, as files: they are copied into a temporary file.

A page is fetched because the user named it, and for no other reason: nothing that it links to is.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from collections.abc import Callable
from http.client import HTTPException
from os import PathLike
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.registry import PICTURES, suffix_of, suffixes

MAX_BYTES = 100 * 2**20
SECONDS = 60.0  # for all of a file
_SILENCE = 15.0  # seconds without a byte
_BLOCK = 2**16
SCHEMES = ("http://", "https://")
_KINDS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/epub+zip": ".epub",
    "message/rfc822": ".eml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
_PICTURE_KINDS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
}


class WebAddress(PathLike[str]):
    """An address in a list of paths: `pathlib.Path` would take a slash out of it.

    Example:
        >>> import os
        >>> from vecsearch.ingest.sources.web import WebAddress
        >>> os.fspath(WebAddress("https://example.com/a.html"))
        'https://example.com/a.html'
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def __fspath__(self) -> str:
        return self.address


class StandardInput(PathLike[str]):
    """What another program writes, in a list of paths.

    Args:
        stream: Where it is read from.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def __fspath__(self) -> str:
        return "-"


class CopiedFile:
    """A temporary file. It is removed with this object.

    Attributes:
        path: Where it is.
        name: What its document is called.
        remove: Removes it at once.
    """

    def __init__(self, name: str) -> None:
        folder = tempfile.mkdtemp(prefix="vecsearch-")
        self.remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.path = Path(folder, "copy")
        self.name = name

    def call(self, suffix: str) -> None:
        """Rename it to what tells its kind."""
        self.path = self.path.rename(self.path.with_name(f"copy{suffix}"))


class _SameKind(HTTPRedirectHandler):
    """Follows redirections to the web only."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ) -> Request | None:
        if not newurl.lower().startswith(SCHEMES):
            raise URLError(f"it is redirected to {newurl[:100]!r}, which is no page of the web")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetched(address: str, *, pictures: bool = False) -> CopiedFile:
    """What stands at an address.

    Args:
        address: The address.
        pictures: Whether pictures are read, and nothing else.

    Raises:
        InvalidInputError: It cannot be fetched, is too large, or takes too long.
    """
    copy = CopiedFile(address)
    try:
        copy.call(_fetched_into(copy, address, pictures))
    except InvalidInputError:
        copy.remove()
        raise
    return copy


def _fetched_into(copy: CopiedFile, address: str, pictures: bool) -> str:
    """Fetch what stands at an address into a file, and return the suffix that tells its kind."""
    until = time.monotonic() + SECONDS
    request_headers = {"User-Agent": "vecsearch", "Accept": "*/*"}
    try:
        request = Request(address, headers=request_headers)
        with build_opener(_SameKind).open(request, timeout=_SILENCE) as answer:
            suffix = _suffix(address, answer.headers.get_content_type(), pictures)
            _copied(answer.read, copy, address, until)
        return suffix
    except InvalidInputError:
        raise
    except HTTPError as error:
        error.close()
        said = f"the server says {error.code} {error.reason}"
        raise InvalidInputError(f"{address} cannot be fetched: {said}") from error
    except (URLError, HTTPException, ValueError, OSError) as error:
        reason: object = getattr(error, "reason", error)
        if isinstance(error, TimeoutError) or isinstance(reason, TimeoutError):
            reason = f"no answer within {_SILENCE:.0f} seconds"
        raise InvalidInputError(f"{address} cannot be fetched: {reason}") from error


def _suffix(address: str, kind: str, pictures: bool) -> str:
    """The suffix that tells the kind of file; that of the address counts if it is known."""
    named = suffix_of(Path(unquote(urlsplit(address).path)))
    kinds = _PICTURE_KINDS if pictures else _KINDS
    if named in (PICTURES if pictures else suffixes()) and named not in (".php", ".pl"):
        return named
    if kind in kinds:
        return kinds[kind]
    raise InvalidInputError(
        f"{address} is {kind}, which is not read; what is read: {', '.join(kinds)}"
    )


def standard_input(stream: BinaryIO) -> CopiedFile:
    """All of standard input; what it begins with tells its kind.

    Raises:
        InvalidInputError: It is too large, empty, or cannot be read.
    """
    copy = CopiedFile("stdin")
    try:
        _copied(stream.read, copy, "standard input", None)
    except OSError as error:
        raise InvalidInputError(f"standard input cannot be read: {error}") from error
    with copy.path.open("rb") as opened:
        head = opened.read(_BLOCK)
    if not head.strip():
        copy.remove()
        raise InvalidInputError("standard input is empty")
    copy.call(_kind_of(head))
    return copy


def _kind_of(head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    marks = ((b"%PDF-", ".pdf"), (b"{", ".jsonl"), (b"[", ".json"), (b"PAR1", ".parquet"))
    for mark, suffix in marks:
        if start.startswith(mark):
            return suffix
    if start[:100].lower().startswith((b"<!doctype html", b"<html")):
        return ".html"
    return ".txt"


def _copied(read: Callable[[int], bytes], copy: CopiedFile, name: str, until: float | None) -> None:
    size = 0
    with copy.path.open("wb") as sink:
        while block := read(_BLOCK):
            size += len(block)
            if until is not None and size > MAX_BYTES:
                raise InvalidInputError(f"{name} is larger than {MAX_BYTES // 2**20} MB")
            if until is not None and time.monotonic() > until:
                raise InvalidInputError(f"{name} took longer than {SECONDS:.0f} seconds")
            sink.write(block)
