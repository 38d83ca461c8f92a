"""Files that are text already: plain text, Markdown, notebooks, subtitles."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import SourceFile
from vecsearch.ingest.sources.document import Document
from vecsearch.ingest.sources.encoding import MAX_TEXT, TextFile, is_gzip, open_binary

_HEAD = 20_000  # characters in which a title is looked for
_FRONT_MATTER = re.compile(r"\A---\r?\n.*?^title:[ \t]*([^\r\n]+).*?^---[ \t]*$", re.M | re.S)
_HEADING = re.compile(r"^#{1,2}[ \t]+(.+?)[ \t#]*$", re.M)
_UNDERLINED = re.compile(
    r"^(?:([=\-~*#])\1{2,}[ \t]*\r?\n)?[ \t]*(\S[^\r\n]*)\r?\n([=\-~*#])\3{2,}[ \t]*$", re.M
)
_CUE_TIME = re.compile(r"^\s*(?:\d+:)?\d+:\d+[,.]\d+\s*-->.*$")
_ASIDE = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,100}>|\{\\[^{}]{0,100}\}")


def whole_text(file: SourceFile) -> str:
    """All of a text file.

    Raises:
        InvalidInputError: It is no text, too long for one document, or unpacks to too much.
    """
    if is_gzip(file.path):
        size = 0
        with open_binary(file.path, file.name) as opened:
            while block := opened.read(2**20):
                size += len(block)
                if size > 4 * MAX_TEXT:
                    raise InvalidInputError(f"{file.name} unpacks to more than {size:,} bytes")
    return TextFile.find(file.path, file.name, file.reading).read()


def read_text(file: SourceFile) -> Iterator[Document]:
    """A file of text as it is, without a byte order mark."""
    yield Document(whole_text(file))


def read_markdown(file: SourceFile) -> Iterator[Document]:
    """Markdown or reStructuredText as it is; the title is in its front matter or first heading."""
    text = whole_text(file)
    yield Document(text, markdown_title(text))


def markdown_title(text: str) -> str | None:
    """The first heading of a text, or the title that its front matter gives it."""
    head = text[:_HEAD]
    given = _FRONT_MATTER.match(head)
    if given:
        return given[1].strip().strip("\"'") or None
    found = [match for match in (_HEADING.search(head), _UNDERLINED.search(head)) if match]
    if not found:
        return None
    first = min(found, key=lambda match: match.start())
    return (first[1] if first.re is _HEADING else first[2]).strip()


def read_notebook(file: SourceFile) -> Iterator[Document]:
    """A Jupyter notebook: its text, and its code between fences; what the code printed is not."""
    found = parsed_json(file)
    cells = found.get("cells", _old_cells(found)) if isinstance(found, dict) else None
    if not isinstance(cells, list):
        raise InvalidInputError(f"{file.name} is no notebook: it has no list of cells")
    parts = []
    for cell in cells:
        source = cell.get("source") if isinstance(cell, dict) else None
        text = "".join(map(str, source)) if isinstance(source, list) else str(source or "")
        if text.strip():
            is_code = cell.get("cell_type") == "code"
            parts.append(f"```\n{text.strip()}\n```" if is_code else text.strip())
    text = "\n\n".join(parts)
    yield Document(text, markdown_title("\n\n".join(p for p in parts if not p.startswith("```"))))


def _old_cells(notebook: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The cells of a notebook of format 3 or older, in which they are in worksheets."""
    sheets = notebook.get("worksheets")
    if not isinstance(sheets, list):
        return None
    cells = [cell for sheet in sheets if isinstance(sheet, dict) for cell in sheet.get("cells", ())]
    return [
        {**cell, "source": cell.get("source", cell.get("input"))}
        for cell in cells
        if isinstance(cell, dict)
    ]


def read_subtitles(file: SourceFile) -> Iterator[Document]:
    """What is said in a film: without numbers, times, comments and marks of style."""
    lines = whole_text(file).splitlines()
    if lines and lines[0].startswith("WEBVTT"):
        lines = _without_asides(lines)
    said: list[str] = []
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        is_mark = _CUE_TIME.match(line) or _CUE_TIME.match(following)
        spoken = _TAG.sub("", line).strip()
        if not is_mark and spoken:
            said.append(spoken)
    yield Document("\n".join(said))


def _without_asides(lines: list[str]) -> list[str]:
    """The lines of a WebVTT file but for its head, comments and styles, each up to a blank line."""
    kept: list[str] = []
    is_aside = True
    for number, line in enumerate(lines):
        if number and not lines[number - 1].strip():
            is_aside = bool(_ASIDE.match(line))
        if not is_aside or _CUE_TIME.match(line):
            is_aside = False
            kept.append(line)
    return kept


def parsed_json(file: SourceFile) -> Any:
    """What a file of JSON holds.

    Raises:
        InvalidInputError: It is not JSON; the message names the line.
    """
    text = whole_text(file)
    try:
        return json.loads(text)
    except ValueError as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidInputError(f"{file.name}{line}: not valid JSON: {error}") from error
    except RecursionError as error:
        raise InvalidInputError(f"{file.name}: JSON that is nested too deeply") from error
