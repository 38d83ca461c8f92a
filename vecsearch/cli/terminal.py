"""Terminal output: results on stdout as tables or JSON, errors on stderr as one line."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json
import math
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vecsearch.errors import ModelWarning, RecallWarning, VecsearchError
from vecsearch.types import counted

if TYPE_CHECKING:
    from vecsearch.query.results import Hit, Hits
    from vecsearch.types import BuildResult

EXIT_ERROR = 1  # typer itself exits with 2 after a usage error
EXIT_INTERRUPTED = 130
SNIPPET_LINES = 2
# Control characters, with which a text could clear the screen or set the window's title, and those
# that change the direction of the text after them.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class _SafeConsole(Console):
    """A console that shows the control characters of texts instead of sending them."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(visible(it) if isinstance(it, str) else it for it in objects), **options)


def visible(text: str) -> str:
    """The text with control characters as Python writes them, such as \\x1b."""
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


# Print users' text literally: no markup for [brackets], no emoji for :colons:.
out = _SafeConsole(highlight=False, markup=False, emoji=False)
err = _SafeConsole(stderr=True, highlight=False, markup=False, emoji=False)
# Argument name -> option as typed, such as "n_queries" -> "--n-queries", of the running command.
_option_names: ContextVar[Mapping[str, str]] = ContextVar("_option_names")


@contextmanager
def reporting(debug: bool) -> Iterator[None]:
    """Show errors and warnings as one line each on stderr, and turn errors into exit codes.

    With `debug`, exceptions pass through with their traceback, and warnings show their origin.
    """
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.showwarning = _show_warning
            yield
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise  # typer's own: an exit code, a usage error, a closed pipe
    except KeyboardInterrupt:
        _fail("interrupted; what was committed before is kept", EXIT_INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, VecsearchError):
            _fail(with_option_names(error.for_terminal()), EXIT_ERROR)
        if isinstance(error, OSError):
            _fail(str(error), EXIT_ERROR)
        _fail(f"unexpected {type(error).__name__}: {error} (--debug shows where)", EXIT_ERROR)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    text = (
        message.for_terminal()
        if isinstance(message, ModelWarning | RecallWarning)
        else str(message)
    )
    _print_line("warning: ", "bold yellow", text)


def _fail(message: str, code: int) -> None:
    _print_line("error: ", "bold red", message)
    raise typer.Exit(code)


def _print_line(label: str, style: str, message: str) -> None:
    err.print(Text.assemble((label, style), visible(" ".join(message.split()))), soft_wrap=True)


def remember_options(context: typer.Context) -> None:
    """Note how the options of the invoked command are typed, for its error messages."""
    group: Any = context.command
    command = group.get_command(context, context.invoked_subcommand)
    options = {
        parameter.name: max(
            (name for name in parameter.opts if name.startswith("-")),
            key=len,
            default=parameter.name.upper(),  # an argument
        )
        for parameter in (command.params if command else ())
    }
    _option_names.set(options)


def with_option_names(message: str) -> str:
    """Name an option, not an argument, at the start of a message: "k is 0" becomes "-k is 0"."""
    name, is_, rest = message.partition(" is ")
    return f"{_option_names.get({}).get(name, name)}{is_}{rest}"


def print_json(value: object) -> None:
    """One line of JSON on stdout."""
    text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)
    text = re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text)
    sys.stdout.write(text + "\n")


def print_answer(as_json: bool, value: object, *lines: str) -> None:
    """Print a command's result: `value` in JSON, or lines for people, which are never wrapped."""
    if as_json:
        print_json(value)
        return
    for line in lines:
        out.print(line, soft_wrap=True)


def _plain(value: object) -> object:
    """A value as JSON types: dates in ISO 8601, bytes in base64, NaN and infinities as null."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if value is None or isinstance(value, str | int):
        return value
    return str(value)


def print_hits(hits: Hits, columns: Sequence[str], text_columns: Sequence[str], query: str) -> None:
    """Print ranked hits as a table: rank, score, some columns, the id and the text's beginning."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    headings = hits.output_names(columns)
    for name in columns:
        table.add_column(visible(headings[name]), overflow="fold")
    table.add_column("document", overflow="fold")
    room = SNIPPET_LINES * max(out.width - 20 - 12 * len(columns), 40)
    for hit in hits:
        document = Text(visible(str(hit.id)), style="bold cyan")
        text = _text_of(hit, text_columns)
        if text_columns:
            snippet = _snippet(text.removeprefix(f"{hit.id}: "), query, room)
            document = Text.assemble(document, "\n", snippet)
        table.add_row(
            str(hit.rank), f"{hit.score:.3f}", *(_shown(hit[name]) for name in columns), document
        )
    out.print(table if len(hits) else "no document matches")


def _text_of(hit: Hit, columns: Sequence[str]) -> str:
    """The passage of a hit, or its texts together; nothing of a picture."""
    columns = columns if hit.span is None else [hit.span.column]
    texts = [hit[name] for name in columns]
    return "\n".join(text for text in texts if isinstance(text, str))


def _shown(value: object) -> str:
    if isinstance(value, dict):
        value = json.dumps(_plain(value), ensure_ascii=False)
    return visible("" if value is None else str(_plain(value)))


def _snippet(text: str, query: str, room: int) -> Text:
    """The first `room` cells of a text on one line, with the query's words in bold."""
    line = visible(" ".join(text[: 10 * room].split()))
    width = cell_len(line)  # Chinese characters are two cells wide
    snippet = Text(line if width <= room else set_cell_size(line, room - 1).rstrip() + "…")
    words = [
        re.escape(word) for word in re.findall(r"\w+", query) if len(word) > 2 or not word.isascii()
    ]
    if words:
        snippet.highlight_regex(rf"(?i)\b({'|'.join(words)})\b", "bold")
    return snippet


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a plain table; whole numbers are right-aligned, with thousands separators."""
    listed = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, header in enumerate(headers):
        numeric = all(isinstance(row[column], int) for row in listed)
        table.add_column(visible(header), justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else _shown(cell) for cell in row))
    out.print(table)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print names and values, one pair a line; None values are left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value is not None:
            table.add_row(name, f"{value:,}" if isinstance(value, int) else _shown(value))
    out.print(table)


def shown_bytes(count: int) -> str:
    """1536 -> '1.5 KB'; powers of 1024."""
    size = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1024:
            return f"{count:,} bytes" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TB"


def shown_build(done: BuildResult) -> str:
    """A build's result on one line."""
    if not done.rows:
        return done.promise
    size = f"{counted(done.rows, 'row')}, {shown_bytes(done.bytes)}"
    how = f"{done.how} in {done.seconds:.1f} s ({done.why})"
    return f"{done.recipe}: {done.promise}; {size}, {how}; measured with {done.calibrated_on}"
