"""The demo: search the docstrings of Python's own standard library, real text on every machine."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vecsearch.cli import chinese_demo, complete
from vecsearch.cli.options import (
    DEFAULT_EMBEDDER,
    START,
    Debug,
    Json,
    examples,
)
from vecsearch.cli.stdlib_docs import Row, stdlib_docs
from vecsearch.cli.tables import print_hits, shown_build
from vecsearch.cli.terminal import out, print_json, reporting
from vecsearch.types import counted

if TYPE_CHECKING:
    from vecsearch.collection import Collection

app = typer.Typer()
PLURAL = {
    "module": "modules",
    "class": "classes",
    "function": "functions",
    "method": "methods",
    "property": "properties",
}
HITS = 3


@dataclass(frozen=True)
class Question:
    """One question of the demo."""

    text: str
    where: str | None = None


QUESTIONS = (
    Question("parse a date from a string"),
    Question("run a function in another process"),
    Question("find the most common elements"),
    Question("keep a list sorted while inserting"),
    Question("remove a folder"),
    Question("remove a folder", where="kind = 'function' AND module LIKE 'os%'"),
    Question("temporary folder that deletes itself", where="kind = 'class'"),
)


@app.command(
    rich_help_panel=START,
    epilog=examples(
        "vecsearch demo",
        'vecsearch search stdlib.vs "split text into words"',
    ),
)
def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="COLLECTION", help="Where to keep the demo's collection.")
    ] = Path("stdlib.vs"),
    embedder: Annotated[
        str, typer.Option(help="Embedding model.", autocompletion=complete.models)
    ] = DEFAULT_EMBEDDER,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Search the docstrings of Python's own standard library."""
    with reporting(debug):
        answers = run(folder, embedder, quiet=as_json)
        if as_json:
            print_json({"collection": str(folder), "answers": answers})


def run(
    folder: Path, embedder: str, *, quiet: bool = False, rows: Sequence[Row] | None = None
) -> list[dict[str, Any]]:
    """Fill the collection at `folder`, ask the questions, and show which commands to try next.

    A second run finds every text unchanged and embeds nothing; an interrupted run resumes.

    Args:
        folder: The collection's folder; created if it does not exist.
        embedder: The embedding model of a new collection.
        quiet: Print nothing.
        rows: Documents to use instead of the docstrings.

    Returns:
        One dict for each question: `question`, `where` and `hits`.
    """
    from vecsearch.collection import create, open_collection
    from vecsearch.errors import CollectionNotFoundError

    screen = Console(quiet=quiet, highlight=False, markup=False, emoji=False, soft_wrap=True)
    try:
        collection = open_collection(folder)
    except CollectionNotFoundError:
        collection = create(folder, embedder=embedder)  # a model that is missing is found here
    with collection:
        if rows is None:
            version = platform.python_version()
            screen.print(f"Reading the docstrings of Python {version}'s standard library.")
            rows = stdlib_docs()
        kinds = [
            f"{number:,} {PLURAL[kind]}"
            for kind, number in Counter(row["kind"] for row in rows).most_common()
        ]
        screen.print(f"{counted(len(rows), 'document')}: {', '.join(kinds)}.")
        model = collection.info().embedder
        screen.print(f"Embedding them with {model}; the first time takes a minute or two.")
        start = time.perf_counter()
        added = collection.add(rows, on_conflict="refresh", auto_index=False)
        seconds = time.perf_counter() - start
        screen.print(f"{counted(added.embedded, 'text')} embedded in {seconds:.0f} s.")
        info = collection.info()
        if info.rows > info.documents:
            screen.print(
                f"Those that are longer than the model reads were split: {info.documents:,} "
                f"documents are {info.rows:,} passages."
            )
        screen.print(f"Index {shown_build(collection.build_index())}.")
        answers = [_answer(collection, question, quiet) for question in QUESTIONS]
    answers += _chinese(folder, screen, quiet)
    screen.print(next_steps(folder))
    return answers


def _chinese(folder: Path, screen: Console, quiet: bool) -> list[dict[str, Any]]:
    """The Chinese half, with a model of several languages that is here; a hint if there is none."""
    from vecsearch.collection import open_or_create
    from vecsearch.embedders.catalog import multilingual_here

    here = multilingual_here()
    if not here:
        screen.print('\n中文：先安装一个多语言模型，pip install "vecsearch[use]"，再运行一次。')
        return []
    place = folder.with_name(f"{folder.stem}-zh{folder.suffix}")
    with open_or_create(place, embedder=here[0].name) as collection:
        collection.add(list(chinese_demo.ROWS), on_conflict="refresh", progress=False)
        info = collection.info()
        screen.print(
            f"\n中文：{info.documents} 篇文档分成 {info.rows} 段，模型是 {info.embedder}，存放在 "
            f"{place}。"
        )
        questions = (
            Question(chinese_demo.QUESTION),
            Question(chinese_demo.FILTERED_QUESTION, where=chinese_demo.FILTER),
        )
        return [_answer(collection, question, quiet, "分类") for question in questions]


def _answer(
    collection: Collection, question: Question, quiet: bool, column: str = "kind"
) -> dict[str, Any]:
    """Search for one question and show the hits."""
    start = time.perf_counter()
    hits = collection.search(question.text, k=HITS, where=question.where)
    milliseconds = 1000 * (time.perf_counter() - start)
    if not quiet:
        out.print(f"\n{question.text}", style="bold")
        if question.where:
            out.print(f"where {question.where}", style="bold")
        print_hits(hits, [column])
        out.print(f"{milliseconds:.0f} ms; {hits.plan}", style="dim", soft_wrap=True)
    return {
        "question": question.text,
        "where": question.where,
        "hits": [hit.to_dict() for hit in hits],
    }


def next_steps(folder: Path) -> str:
    """Commands and Python code to try next, as they can be typed in the current folder."""
    command, python = (
        _typed(Path(sys.executable).with_name(name)) for name in ("vecsearch", "python")
    )
    place = shlex.quote(str(folder))
    asyncio_only = "--where \"module LIKE 'asyncio%'\" --columns signature -k 5"
    return f"""
Ask your own questions:
  {command} search {place} "split text into words"
  {command} search {place} "wait for a connection" {asyncio_only}
  {command} info {place}

From Python ({python}):
  import vecsearch as vs
  c = vs.open({str(folder)!r})
  for hit in c.search("split text into words", k=5):
      print(hit.rank, hit.score, hit.id, hit["signature"])

Your own files (.pdf, .docx, .md, .csv and others, or a folder of them):
  {command} ingest notes/ notes.vs
  {command} search notes.vs "what did we decide about the budget"
"""


def _typed(program: Path) -> str:
    """How to type a program: its name if the shell finds that very file, or else its path."""
    found = shutil.which(program.name)
    if (
        found
        and Path(found).resolve() == program.resolve()
        and Path(found).parent == program.parent
    ):
        return program.name
    return shlex.quote(os.path.relpath(program))
