"""Options that several commands share, and how a command opens its collection."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from importlib.abc import MetaPathFinder
from pathlib import Path, PosixPath
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vecsearch.cli import complete

if TYPE_CHECKING:
    from vecsearch.collection import Collection

DEFAULT_EMBEDDER = "all-MiniLM-L6-v2"
# The default where the texts can be looked at; see `vecsearch.cli.language`.
FITTING = (
    f"{DEFAULT_EMBEDDER} (English); for texts in other languages a multilingual one that is "
    "installed"
)

# Panels of the list of commands, and what is in each.
START, DOCUMENTS, QUALITY = "Start", "Documents", "Quality"
INDEX, MODELS, SAFETY = "Index", "Models", "Safety"
WHOLE = "Whole collection"


def examples(*lines: str) -> str:
    """Examples for the end of a command's help."""
    return "\n\n".join(["Examples:", *(line.replace("[", "\\[") for line in lines)])


class Place(PosixPath):
    """A collection's folder or URL as it was written: a path, which keeps both slashes of a URL."""

    def __str__(self) -> str:
        scheme, colon, rest = super().__str__().partition(":/")
        if not colon or len(scheme) < 2 or not scheme.isalnum():
            return super().__str__()
        return f"{scheme}://{'/' * (scheme == 'file')}{rest.lstrip('/')}"


Folder = Annotated[
    Path,
    typer.Argument(
        metavar="COLLECTION",
        parser=Place,
        help="The collection's folder, or its URL.",
        show_default=False,
        autocompletion=complete.collections,
    ),
]
EngineOption = Annotated[
    Literal["local", "processes", "ray"] | None,
    typer.Option(
        "--engine",
        help="Where the work is done: in this process, in several of this machine, or on the "
        "nodes of a Ray cluster.",
        show_default="local",
    ),
]
Version = Annotated[
    int | None,
    typer.Option("--version", metavar="NUMBER", help="Read an older version of the collection."),
]
Where = Annotated[
    str | None,
    typer.Option(
        metavar="FILTER", help="SQL filter, such as \"year >= 2000 AND lang IN ('en', 'zh')\"."
    ),
]
Limit = Annotated[
    int, typer.Option("-k", "--limit", metavar="NUMBER", help="How many documents to find.")
]
RowLimit = Annotated[
    int, typer.Option("-k", "--limit", metavar="NUMBER", help="How many rows to find.")
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME,...",
        help="Columns, separated by commas.",
        autocompletion=complete.columns,
    ),
]
OneId = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="ID", help="Only documents with this id. Repeatable."),
]
IdsFile = Annotated[
    Path | None,
    typer.Option(
        "--ids",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Only documents whose ids a file has, by line.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="ID", help="Leave out this document. Repeatable."),
]
MinScore = Annotated[float | None, typer.Option(help="The lowest score of a hit.")]
Diversity = Annotated[
    float, typer.Option(help="How much hits shall differ from each other, 0 to 1.")
]
GroupBy = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Group hits by a column; -k is the number of groups."),
]
GroupSize = Annotated[int, typer.Option(help="How many hits a group has at most.")]
OrderBy = Annotated[
    list[str] | None,
    typer.Option(help='Sort the hits by a column, such as "year desc". Repeatable.'),
]


class SearchMode(StrEnum):
    """How a collection is searched."""

    VECTOR = "vector"
    TEXT = "text"
    HYBRID = "hybrid"


InMode = Annotated[SearchMode, typer.Option("--mode", help="Search by vectors, by words, or both.")]
InModeOrFitting = Annotated[
    SearchMode | None,
    typer.Option(
        "--mode",
        help="Search by vectors, by words, or both. Default: vector, and hybrid for a question in "
        "a language that the model does not know.",
    ),
]
Using = Annotated[
    list[str] | None,
    typer.Option(help='A column to search by words, or "title^3" to weight it. Repeatable.'),
]
HowFused = Annotated[
    str | None,
    typer.Option("--fusion", help="How hybrid search makes one list: weighted, rrf or dbsf."),
]
BesideWords = Annotated[
    str | None,
    typer.Option(
        "--vector",
        metavar="NUMBERS",
        help="The vector of a hybrid search, whose words are QUESTION; or, with --rerank, the "
        'vector to search by. Numbers in JSON: "[1, 0.5]".',
        show_default="the question's, by the collection's model",
    ),
]
Rerank = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Score the best hits again: a cross-encoder's name or folder, or maxsim.",
    ),
]
RerankTop = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER", help="How many hits are scored again. Default: 50, or -k if more."
    ),
]
Passages = Annotated[bool, typer.Option("--passages", help="Find passages, not whole documents.")]
Explain = Annotated[bool, typer.Option("--explain", help="Say of each hit what carried its score.")]
ShowPlan = Annotated[bool, typer.Option("--plan", help="Explain how the search was done.")]
Timeout = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Give up after this time. Default: never.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would change; nothing is written.")
]
Recall = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of the exact answer to deliver. Default: the collection's target.",
    ),
]
Exact = Annotated[bool, typer.Option("--exact", help="Score every row (recall 1).")]
Queries = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help='File of queries to measure with, or "sampled" for stored ones. '
        "Default: rows of the collection.",
    ),
]
JudgedQueries = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help='Queries: .jsonl as in BEIR, or lines of "id<tab>text".'),
]
Qrels = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Relevance judgments: .tsv as in BEIR, or TREC's four columns."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]
Csv = Annotated[bool, typer.Option("--csv", help="Answer in CSV, one line for each document.")]
Table = Annotated[
    bool, typer.Option("--table", help="Answer in a table, one line for each document.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def names_in(columns: str | None) -> list[str] | None:
    """The names in a value of `Columns`."""
    return None if columns is None else [name.strip() for name in columns.split(",")]


def ids_of(
    collection: Collection, ids: list[str] | None, file: Path | None
) -> list[int | str] | None:
    """The ids of options, as the collection has them; None if there are no such options."""
    if not ids and file is None:
        return None
    named = list(ids or [])
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise typer.BadParameter(f"{file} is not UTF-8: {error}", param_hint="--ids") from error
        named += [line.strip() for line in lines if line.strip()]
    info = collection.info()
    if info.columns[info.id_column] != "int64":
        return [*named]
    return [int(text) if text.lstrip("-").isdecimal() else text for text in named]


def id_of(collection: Collection, text: str) -> int | str:
    """An id as the collection has it."""
    found = ids_of(collection, [text], None)
    assert found is not None
    return found[0]


def root_of(folder: Path) -> Path:
    """Where a collection is on this machine: its folder, or the copy of the one at a URL."""
    from vecsearch.storage.objects.places import collection_path
    from vecsearch.storage.origins import pull

    root = collection_path(folder)
    pull(root)
    return root


def open_for(folder: Path, version: int | None = None) -> Collection:
    """The collection in a folder, or an older version of it."""
    keep_pandas_out()
    from vecsearch.collection import open_collection

    return open_collection(folder, version=version)


def keep_pandas_out() -> None:
    """Let pyarrow find no pandas: a command is given no frame, and the import takes 0.3 s.

    pyarrow looks for pandas once, when it makes its first array. What needs pandas by its nature,
    such as `to_pandas`, looks again.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    absent = _NoPandas()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(absent)


class _NoPandas(MetaPathFinder):
    """Finds all modules to be where they are, but no pandas anywhere."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
