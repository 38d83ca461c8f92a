"""Tables and lists on stdout: hits with their sentences marked, documents, fields, CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from vecsearch.cli.terminal import out, plain
from vecsearch.display import field_text, one_line, value_text, visible, width_of
from vecsearch.types import counted, shown_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from vecsearch.query.highlight import Highlight
    from vecsearch.query.results import Hits
    from vecsearch.types import BuildResult

SNIPPET_LINES = 2
MOST_SENTENCES = 24  # sentences of all hits together that the model compares with a question
LONGEST_CELL = 20  # cells of a value in a table of one line for each document
LEAST_TEXT = 24  # cells of a text in it
SENTENCE, WORD = "bold", "underline"


class Figure(str):
    """A number that is written already."""

    __slots__ = ()


class Format(StrEnum):
    """How documents are printed."""

    LIST = "list"
    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def format_of(as_json: bool, as_csv: bool = False, as_table: bool = False) -> Format:
    """The format of the options `--json`, `--csv` and `--table`."""
    if as_json + as_csv + as_table > 1:
        raise typer.BadParameter("give one of --json, --csv and --table", param_hint="--json")
    if as_json:
        return Format.JSON
    return Format.CSV if as_csv else Format.TABLE if as_table else Format.LIST


def print_block(block: RenderableType) -> None:
    """Print a table; no line of it ends in blanks where it goes to a file or another program."""
    if out.is_terminal:
        out.print(block)
        return
    with out.capture() as captured:
        out.print(block)
    for line in captured.get().splitlines():
        out.print(line.rstrip(), soft_wrap=True)


def _plain_table(*, header: bool = True) -> Table:
    return Table(box=None, pad_edge=False, header_style="bold", show_header=header)


def print_hits(hits: Hits, columns: Sequence[str]) -> None:
    """Print ranked hits: rank, score, some columns, the id, and the sentence that answers."""
    if not len(hits):
        out.print("no document matches")
        return
    table = _plain_table()
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    headings = hits.output_names(columns)
    hits.fetch([*columns, *hits.text_columns])
    for name in columns:
        right = _are_numbers(hits.column(name))
        table.add_column(
            visible(headings[name]), overflow="fold", justify="right" if right else "left"
        )
    table.add_column("document", overflow="fold")
    room = SNIPPET_LINES * max(out.width - 20 - 12 * len(columns), 40)
    marks = hits.highlights(MOST_SENTENCES) if hits.text_columns else [None] * len(hits)
    for hit, mark in zip(hits, marks, strict=True):
        document = Text(one_line(str(hit.id)), style="bold cyan")
        if hit.page is not None:
            document = Text.assemble(document, f"  page {hit.page}")
        for name in hits.text_columns if mark is not None else ():
            if mark is not None and name == mark.span.column:
                document = Text.assemble(document, "\n", snippet(mark, f"{hit.id}: ", room))
            elif hit.span is None and isinstance(hit[name], str):
                document = Text.assemble(document, "\n", one_line(hit[name], room // 2))
        table.add_row(
            str(hit.rank), f"{hit.score:.3f}", *(_shown(hit[name]) for name in columns), document
        )
    print_block(table)


def snippet(mark: Highlight, lead: str, room: int) -> Text:
    """The part of a text that answers, in at most `room` cells of one line.

    It begins with the text where the sentence has room, or else with the sentence. A lead, such as
    the id that stands above it, is left out.
    """
    text, (start, end) = mark.text, mark.sentence
    begin = first = len(lead) if text.startswith(lead) else 0
    whole = not text[first:start].strip() and not text[end:].strip()
    if width_of(one_line(text[first : min(end, first + 4 * room)])) > room - 2 or end > 4 * room:
        first = max(start, first)
        words = [begin for begin, _ in mark.words]
        if words and width_of(one_line(text[first : words[0]])) > room - 20:
            first = max(text.rfind(" ", first, words[0]) + 1, words[0] - 20, first)
    shown, left = Text(), room
    if text[begin:first].strip():
        shown.append("… ")
        left -= 2
    blank = True
    for at in range(first, len(text)):
        character = " " if text[at].isspace() else visible(text[at])
        if character == " " and blank:
            continue
        blank = character == " "
        left -= width_of(character)
        if left < 1 and (left < 0 or text[at + 1 :].strip()):
            shown.rstrip()
            shown.append("…")
            break
        is_word = any(begin <= at < last for begin, last in mark.words)
        style = SENTENCE if start <= at < end and not whole else ""
        if is_word:
            style = SENTENCE if whole else f"{SENTENCE} {WORD}"
        shown.append(character, style)
    shown.rstrip()
    return shown


def print_hit_lines(hits: Hits, columns: Sequence[str] | None) -> None:
    """Print hits as a table of one line each."""
    names = _columns_of(hits, columns)
    titles = hits.output_names(names)
    rows = [[hit.rank, Figure(f"{hit.score:.3f}"), *(hit[name] for name in names)] for hit in hits]
    texts = [titles[name] for name in hits.text_columns]
    print_lines(["rank", "score", *(titles[name] for name in names)], rows, texts)


def print_hits_csv(
    hits: Hits, columns: Sequence[str] | None, query: tuple[str, str] | None, *, head: bool
) -> None:
    """Print hits as CSV, in front of each the question's id and text if there are several."""
    names = _columns_of(hits, columns)
    titles = hits.output_names(names)
    before = [] if query is None else ["query_id", "query"]
    rows = [
        [*(query or ()), hit.rank, float(f"{hit.score:.7g}"), *(hit[name] for name in names)]
        for hit in hits
    ]
    header = [*before, "rank", "score", *(titles[name] for name in names)]
    print_csv(header if head else None, rows)


def _columns_of(hits: Hits, columns: Sequence[str] | None) -> list[str]:
    from vecsearch.query.hits_display import shown_columns

    chosen = [*hits.text_columns, *shown_columns(hits)] if columns is None else columns
    names = list(dict.fromkeys([hits.id_column, *chosen]))
    hits.fetch(names)
    return names


def print_lines(
    head: Sequence[str], rows: Sequence[Sequence[object]], texts: Sequence[str] = ()
) -> None:
    """Print a table of one line for each row: the columns that have room, long values cut.

    Args:
        head: The names of the columns.
        rows: Their values.
        texts: Columns of texts; the first takes the room that the others leave.
    """
    columns = [[row[at] for row in rows] for at in range(len(head))]
    cells = [
        [
            one_line(value_text(value), LEAST_TEXT if name in texts else LONGEST_CELL)
            for value in values
        ]
        for name, values in zip(head, columns, strict=True)
    ]
    widths = [max(map(width_of, [name, *part])) + 2 for name, part in zip(head, cells, strict=True)]
    room = out.width + 2
    chosen: list[int] = []
    for at, width in enumerate(widths):
        is_empty = rows and not any(cells[at])
        if (width <= room and not is_empty) or not chosen:
            chosen.append(at)
            room -= width
    for at in chosen:
        if head[at] in texts:
            longest = min(widths[at] - 2, LEAST_TEXT) + room
            cells[at] = [one_line(value_text(value), longest) for value in columns[at]]
            break
    table = _plain_table()
    for at in chosen:
        justify: Literal["left", "right"] = "right" if _are_numbers(columns[at]) else "left"
        table.add_column(visible(head[at]), justify=justify, no_wrap=True, overflow="ellipsis")
    for number in range(len(rows)):
        table.add_row(*(cells[at][number] for at in chosen))
    print_block(table)


def print_csv(head: Sequence[str] | None, rows: Iterable[Sequence[object]]) -> None:
    """Print CSV; control characters are shown, not sent, where stdout is a terminal."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    shown = visible if sys.stdout.isatty() else str
    if head is not None:
        writer.writerow([shown(name) for name in head])
    for row in rows:
        writer.writerow([shown(_text_of(cell)) for cell in row])


def print_documents(
    form: Format,
    documents: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    texts: Sequence[str],
) -> None:
    """Print whole documents: as fields, one below the other, or as a table or CSV.

    Args:
        form: How to print them.
        documents: The documents.
        columns: Their columns, in this order.
        texts: The columns that are texts.
    """
    rows = [[document[name] for name in columns] for document in documents]
    if form is Format.CSV:
        print_csv(columns, rows)
    elif form is Format.TABLE:
        print_lines(columns, rows, texts)
    else:
        for number, document in enumerate(documents):
            if number:
                out.print("")
            print_fields({name: document[name] for name in columns})


def _are_numbers(values: Sequence[object]) -> bool:
    given = [value for value in values if value is not None]
    kinds = int | float | Figure
    numbers = (isinstance(value, kinds) and not isinstance(value, bool) for value in given)
    return bool(given) and all(numbers)


def _text_of(value: object) -> str:
    """A value as text: nothing for None, JSON for what is nested."""
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(plain(value), ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(plain(value))


def _shown(value: object) -> str:
    return many_lines(_text_of(value))


def many_lines(text: str) -> str:
    """A text with its lines and tabs; other control characters are shown."""
    text = text.replace("\r\n", "\n").replace("\f", "\n").expandtabs(4)
    return visible(text)


def print_table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], best: int | None = None
) -> None:
    """Print a plain table. Numbers are right-aligned, whole ones with thousands separators.

    Args:
        headers: The names of the columns.
        rows: Their cells.
        best: The number of a row to show in bold.
    """
    listed = [list(row) for row in rows]
    table = _plain_table()
    for column, header in enumerate(headers):
        numeric = all(_is_figure(row[column]) for row in listed)
        table.add_column(visible(header), justify="right" if numeric else "left", overflow="fold")
    for number, row in enumerate(listed):
        cells = (f"{cell:,}" if type(cell) is int else _shown(cell) for cell in row)
        table.add_row(*cells, style="bold" if number == best else None)
    print_block(table)


def _is_figure(cell: object) -> bool:
    """Whether a cell is a number, with its unit perhaps, or stands for a missing one."""
    if isinstance(cell, str):
        return cell in ("", "-", "–") or (cell[:1] in "+-−.0123456789" and cell[-1:] != ")")
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print names and values, one pair a line; None values are left out."""
    table = _plain_table(header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value is not None:
            nested = isinstance(value, Mapping | list | tuple)
            text = _text_of(value) if nested else field_text(plain(value))
            table.add_row(visible(name), many_lines(text).rstrip("\n"))
    print_block(table)


def shown_build(done: BuildResult) -> str:
    """A build's result on one line."""
    if not done.rows:
        return done.promise
    size = f"{counted(done.rows, 'row')}, {shown_bytes(done.bytes)}"
    if done.how == "none":
        return f"{done.recipe}: {done.promise}; {size}, {done.why}"
    how = f"{done.how} in {done.seconds:.1f} s ({done.why})"
    return f"{done.recipe}: {done.promise}; {size}, {how}; measured with {done.calibrated_on}"
