"""E-mail: one in a file (.eml), or many (.mbox)."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

from vecsearch.errors import InvalidInputError, MissingExtraError
from vecsearch.ingest.sources.base import SourceFile
from vecsearch.ingest.sources.document import Document
from vecsearch.ingest.sources.encoding import MAX_TEXT, open_binary, refuse_gzip
from vecsearch.ingest.sources.markup import html_document

_SHOWN = ("From", "To", "Cc", "Date", "Subject")


def read_eml(file: SourceFile) -> Iterator[Document]:
    """One mail: its sender, receivers, date and subject, then its text."""
    with open_binary(file.path, file.name) as opened:
        content = opened.read(MAX_TEXT)
    mail = message_from_bytes(content, policy=policy.default)
    if content.strip() and not mail.keys():
        raise InvalidInputError(f"{file.name} is no mail: it does not begin with headers")
    yield _document(mail, "")


def read_mbox(file: SourceFile) -> Iterator[Document]:
    """The mails of a mailbox; their keys are their numbers, from 1."""
    refuse_gzip(file.path, file.name, "unpack it")
    with file.path.open("rb") as opened:
        head = opened.read(5)
    if head and head != b"From ":
        raise ValueError("it does not begin with 'From '")
    box = mailbox.mbox(file.path, create=False)
    try:
        for number, key in enumerate(box.iterkeys(), 1):
            with box.get_file(key) as opened:
                content = opened.read(MAX_TEXT)
            yield _document(message_from_bytes(content, policy=policy.default), str(number))
    finally:
        box.close()


def _document(mail: EmailMessage, key: str) -> Document:
    heads = [(name, _header(mail, name)) for name in _SHOWN]
    lines = [f"{name}: {value}" for name, value in heads if value]
    attached = [name for part in mail.iter_attachments() if (name := part.get_filename())]
    if attached:
        lines.append(f"Attachments: {', '.join(attached)}")
    text = "\n".join(lines) + "\n\n" + _body(mail)
    return Document(text.strip(), _header(mail, "Subject") or None, key)


def _header(mail: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(mail.get(name) or "").split())
    except (ValueError, IndexError, AttributeError, TypeError):  # headers that are damaged
        return ""


def _body(mail: EmailMessage) -> str:
    part = mail.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    try:
        content = str(part.get_content())
    except (LookupError, ValueError):  # an encoding that does not exist
        content = cast(bytes, part.get_payload(decode=True) or b"").decode("utf-8", "replace")
    content = content.replace("\r\n", "\n")
    if part.get_content_subtype() != "html":
        return content
    try:
        return html_document(content).text
    except MissingExtraError:
        return content
