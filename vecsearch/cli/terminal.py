"""Terminal output: results on stdout as tables or JSON, errors on stderr as one line."""

from __future__ import annotations

import io
import json
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.text import Text

from vecsearch.common import json_values
from vecsearch.display import visible
from vecsearch.errors import ModelWarning, RecallWarning, VecsearchError

EXIT_ERROR = 1  # typer itself exits with 2 after a usage error
EXIT_INTERRUPTED = 130
UNICODE = ("utf-8", "utf-16", "utf-32")
# What JSON may hold as it is, but a terminal should not get: controls, and changes of direction.
_ESCAPED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class _SafeConsole(Console):
    """A console that shows the control characters of texts instead of sending them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if "width" not in options:
            self._width = None  # the variable COLUMNS counts when something is printed

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(visible(it) if isinstance(it, str) else it for it in objects), **options)


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
    line = Text.assemble((label, style), visible(" ".join(message.split())))
    err.print(line, soft_wrap=not err.is_terminal)  # a terminal's lines end between words


def remember_options(context: typer.Context) -> None:
    """Note how the options of the invoked command are typed, for its error messages."""
    group: Any = context.command
    command = group.get_command(context, context.invoked_subcommand)
    options = {
        parameter.name: _as_typed(parameter) for parameter in (command.params if command else ())
    }
    _option_names.set(options)


def add_option_names(options: Iterable[Any]) -> None:
    """Note further options of the invoked command."""
    _option_names.set({**_option_names.get({}), **{each.name: _as_typed(each) for each in options}})


def _as_typed(parameter: Any) -> str:
    """An option such as --n-queries or -k, or the name of an argument."""
    options = [name for name in parameter.opts if name.startswith("-")]
    short = f"-{parameter.name}"
    return short if short in options else max(options, key=len, default=parameter.name.upper())


def with_option_names(message: str) -> str:
    """Name an option, not an argument, at the start of a message: "k is 0" becomes "-k is 0"."""
    name, is_, rest = message.partition(" is ")
    return f"{_option_names.get({}).get(name, name)}{is_}{rest}"


def accept_all_characters() -> None:
    """Let output show "?" for a character that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() not in UNICODE:
            stream.reconfigure(errors="replace")


def print_json(value: object) -> None:
    """One line of JSON on stdout; \\u escapes for what its encoding lacks."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False)
    text = _ESCAPED.sub(lambda found: json.dumps(found[0])[1:-1], text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(plain(value), allow_nan=False)
    sys.stdout.write(text + "\n")


def print_answer(as_json: bool, value: object, *lines: str) -> None:
    """Print a command's result: `value` in JSON, or lines for people, which are never wrapped."""
    if as_json:
        print_json(value)
        return
    for line in lines:
        out.print(line, soft_wrap=True)


def print_above_bar(line: str) -> None:
    """Print a line while a progress bar is shown: above it, if both go to a terminal."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        sys.stdout.write(visible(line) + "\n")  # the bar puts itself in place of this stream
    else:
        out.print(line, soft_wrap=True)


def plain(value: object) -> object:
    """A value as JSON types, as `json_values.plain` gives it; what JSON has no like of is text."""
    return json_values.plain(value, str)
