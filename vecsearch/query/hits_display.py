"""Hits for people: ranks, scores, ids and texts in a table, as text and in notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vecsearch.display import (
    WIDTH,
    html_fields,
    html_table,
    one_line,
    text_table,
    value_text,
    width_of,
)
from vecsearch.types import Id, Plan, counted

SHOWN_HITS = 20
LEAST_TEXT, LONGEST_TEXT = 30, 48  # cells of the text in a table
LONGEST_ID, LONGEST_VALUE = 24, 20
LONGEST_IN_HTML = 300  # characters of a text in a notebook
# What readers of files note of each; it is there for programs, not to be looked at.
FOR_PROGRAMS = ("digest", "source")


class Hits(Protocol):
    """What is shown of hits: a `vecsearch.Hits`."""

    plan: Plan
    scores: npt.NDArray[np.float32]

    @property
    def ids(self) -> list[Id]: ...
    @property
    def ranks(self) -> list[int]: ...
    @property
    def id_column(self) -> str: ...
    @property
    def text_columns(self) -> tuple[str, ...]: ...
    @property
    def texts(self) -> list[str | None]: ...
    @property
    def payload(self) -> list[str]: ...
    def column(self, name: str) -> list[Any]: ...
    def fetch(self, columns: Sequence[str] | None = None) -> Any: ...
    def output_names(self, names: Sequence[str]) -> Mapping[str, str]: ...
    def __len__(self) -> int: ...


def shown_columns(hits: Hits) -> list[str]:
    """The columns of hits that a table may show after the id and the texts."""
    hidden = {hits.id_column, *hits.text_columns, *FOR_PROGRAMS}
    return [name for name in hits.payload if name not in hidden]


def hits_text(hits: Hits, total: int) -> str:
    """Hits as a table of text; `hits` are the first of all `total`."""
    above = heading(hits, total)
    if not len(hits):
        return above
    head, columns, numbers = _columns(hits)
    rows = list(zip(*columns, strict=True))
    more = [f"... {total - len(hits):,} more"] if total > len(hits) else []
    return "\n".join([above, text_table(head, rows, numbers), *more])


def heading(hits: Hits, total: int) -> str:
    """The number of hits, and how they were found."""
    return f"{counted(total, 'hit')}, {hits.plan.summary()}"


def _columns(hits: Hits) -> tuple[list[str], list[list[str]], list[int]]:
    """Names, cells and which columns hold numbers, of the columns that have room."""
    ids, texts = hits.ids, hits.texts if hits.text_columns else None
    head = ["rank", "score", hits.id_column]
    columns = [
        [str(rank) for rank in hits.ranks],
        [f"{score:.3f}" for score in hits.scores],
        [one_line(str(each), LONGEST_ID) for each in ids],
    ]
    numbers = [0, 1, *([2] if all(isinstance(each, int) for each in ids) else [])]
    if texts is not None:
        head.append("text" if len(hits.text_columns) > 1 else hits.text_columns[0])
        columns.append([""] * len(ids))
    used = sum(_width([name, *cells]) + 2 for name, cells in zip(head, columns, strict=True))
    used += LEAST_TEXT if texts is not None else 0
    titles = hits.output_names(hits.payload)
    for name in shown_columns(hits):
        values = hits.column(name)
        if all(value is None for value in values):
            continue
        cells = [one_line(value_text(value), LONGEST_VALUE) for value in values]
        used += _width([titles[name], *cells]) + 2
        if used > WIDTH:
            break
        head.append(titles[name])
        columns.append(cells)
        if all(_is_number(value) for value in values):
            numbers.append(len(head) - 1)
    if texts is not None:
        others = sum(_width([name, *cells]) + 2 for name, cells in zip(head, columns, strict=True))
        others -= _width([head[3]]) + 2
        room = max(min(WIDTH - others - 2, LONGEST_TEXT), LEAST_TEXT)
        columns[3] = [one_line(text or "", room) for text in texts]
    return head, columns, numbers


def _width(cells: Sequence[str]) -> int:
    return max(map(width_of, cells))


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def hits_html(hits: Hits, total: int) -> str:
    """Hits as a table of a notebook; `hits` are the first of all `total`."""
    texts = hits.texts if hits.text_columns else None
    names = shown_columns(hits)
    hits.fetch(names)
    titles = hits.output_names(hits.payload)
    head = ["rank", "score", hits.id_column]
    head += ["text"] if texts is not None else []
    head += [titles[name] for name in names]
    rows = []
    for at, (rank, score, each) in enumerate(zip(hits.ranks, hits.scores, hits.ids, strict=True)):
        row = [str(rank), f"{score:.3f}", str(each)]
        row += [_cut(texts[at] or "")] if texts is not None else []
        rows.append([*row, *(_cut(value_text(hits.column(name)[at])) for name in names)])
    numbers = [0, 1]
    first = len(head) - len(names)
    numbers += [
        first + at
        for at, name in enumerate(names)
        if all(_is_number(value) for value in hits.column(name))
    ]
    more = f"; the first {len(hits)} are shown" if total > len(hits) else ""
    return html_table(head, rows, numbers, heading(hits, total) + more)


def hit_line(hits: Hits, at: int) -> str:
    """One of some hits on a line, as Python would call it."""
    parts = [f"rank={hits.ranks[at]}", f"score={hits.scores[at]:.4f}"]
    for name in (hits.id_column, *hits.text_columns, *shown_columns(hits)):
        value = hits.column(name)[at]
        text = repr(_begin(value) if isinstance(value, str) else value)
        parts.append(f"{name}={one_line(text, LONGEST_TEXT)}")
    return f"Hit({', '.join(parts)})"


def _begin(text: str) -> str:
    """The beginning of a text, for one line."""
    return one_line(text, LONGEST_TEXT - 10) if len(text) > LONGEST_TEXT - 10 else text


def hit_html(hits: Hits, at: int) -> str:
    """One of some hits as fields of a notebook."""
    fields: dict[str, object] = {"rank": hits.ranks[at], "score": f"{hits.scores[at]:.4f}"}
    titles = hits.output_names(hits.payload)
    for name in (hits.id_column, *hits.text_columns, *shown_columns(hits)):
        fields[titles[name]] = _cut(value_text(hits.column(name)[at]))
    return html_fields(fields)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_IN_HTML else text[: LONGEST_IN_HTML - 1].rstrip() + "…"
