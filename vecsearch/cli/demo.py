"""The demo: search the docstrings of Python's own standard library, real text that every machine has.

The corpus is read from the running interpreter. Python modules are parsed, never imported, so nothing of theirs runs;
what is written in C has no source to parse, so those few modules are imported and asked. The result depends on the
interpreter's version alone.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import platform
import shlex
import shutil
import sys
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from vecsearch.cli.terminal import out, print_hits, shown_build

if TYPE_CHECKING:
    from vecsearch.collection import Collection

Row = dict[str, str]
# Not documentation anyone looks for (tests, a Python 2 parser, an editor), or modules that act when they are imported.
SKIPPED = frozenset(
    "antigravity distutils encodings ensurepip idlelib lib2to3 nt ntpath posix pydoc_data readline test this tkinter turtle "
    "turtledemo xxlimited xxsubtype".split()
)
# Python modules that hand out what a hidden C module defines (`os.getcwd` is made in `posix`, `re.Pattern` in `_sre`).
# Each is among what any Python program loads, and is imported so that its members can be asked.
WITH_C_MEMBERS = (
    "asyncio bisect bz2 codecs collections contextvars csv datetime decimal functools hashlib heapq io json locale "
    "lzma operator os pickle queue random re signal socket sqlite3 ssl statistics string struct threading tracemalloc "
    "weakref zoneinfo"
).split()
PATH_MODULES = frozenset(
    {os.path.__name__, "genericpath"}
)  # where the members of `os.path` are written
MAX_CHARACTERS = 200
MAX_SIGNATURE = 160
PLURAL = {
    "module": "modules",
    "class": "classes",
    "function": "functions",
    "method": "methods",
    "property": "properties",
}
HITS = 3


def stdlib_docs() -> list[Row]:
    """One row for each documented public module, class, function, method and property, sorted by id.

    Each row has `id` (the dotted name), `text` (the name and the start of the docstring, what gets embedded), `module`,
    `kind` ("module", "class", "function", "method" or "property") and `signature` (empty where there is none).
    """
    rows: dict[str, Row] = {}
    sources = _source_modules(Path(sysconfig.get_path("stdlib")))
    for module, path in sources:
        for row in _parsed_docs(module, path):
            rows.setdefault(row["id"], row)
    in_c = [
        name
        for name in sorted(sys.stdlib_module_names)
        if _public(name) and name not in dict(sources)
    ]
    for name in [*in_c, *WITH_C_MEMBERS]:
        for row in _asked_docs(name, frozenset(rows)):
            rows.setdefault(row["id"], row)
    return sorted(rows.values(), key=lambda row: row["id"])


def _public(name: str) -> bool:
    return not name.startswith("_") and name not in SKIPPED


def _source_modules(stdlib: Path) -> list[tuple[str, Path]]:
    """Dotted name and file of every public Python module of the standard library."""
    found = []
    for top in sorted(sys.stdlib_module_names):
        files = [stdlib / f"{top}.py", *sorted((stdlib / top).rglob("*.py"))]
        for path in files:
            parts = path.relative_to(stdlib).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            if path.is_file() and all(_public(part) and part != "tests" for part in parts):
                name = ".".join(parts)
                found.append(("os.path" if name in PATH_MODULES else name, path))
    return found


def _parsed_docs(module: str, path: Path) -> Iterator[Row]:
    """Rows of one source file; a file that this interpreter cannot parse (a template, say) has none."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return
    yield from _row(module, module, "module", "", ast.get_docstring(tree))
    yield from _parsed_members(module, module, tree.body, "function")


def _parsed_members(
    module: str, parent: str, body: list[ast.stmt], function_kind: str
) -> Iterator[Row]:
    for node in body:
        if isinstance(node, ast.If | ast.Try):  # definitions that depend on the platform
            yield from _parsed_members(module, parent, [*node.body, *node.orelse], function_kind)
        if not isinstance(
            node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) or not _public(node.name):
            continue
        name = f"{parent}.{node.name}"
        if isinstance(node, ast.ClassDef):
            made = [
                item
                for item in node.body
                if isinstance(item, ast.FunctionDef) and item.name == "__init__"
            ]
            yield from _row(
                name,
                module,
                "class",
                _parsed_signature(made[0]) if made else "",
                ast.get_docstring(node),
            )
            yield from _parsed_members(module, name, node.body, "method")
        else:
            decorators = {
                ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list
            }
            is_property = function_kind == "method" and not decorators.isdisjoint(
                {"property", "cached_property"}
            )
            signature = "" if is_property else _parsed_signature(node)
            yield from _row(
                name,
                module,
                "property" if is_property else function_kind,
                signature,
                ast.get_docstring(node),
            )


def _parsed_signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return _without_self(f"({ast.unparse(node.args)}){returns}")


def _without_self(signature: str) -> str:
    for first in ("self", "cls", "$self"):
        for start in (f"({first}, /, ", f"({first}, /)", f"({first}, ", f"({first})"):
            if signature.startswith(start):
                return ("()" if start.endswith(")") else "(") + signature.removeprefix(start)
    return signature


def _asked_docs(name: str, described: Container[str]) -> Iterator[Row]:
    """Rows of what a module offers from C. A module that this build of Python lacks has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some are deprecated, and say so when imported
            module = importlib.import_module(name)
    except ImportError:
        return
    yield from _row(name, name, "module", "", module.__doc__)
    for key, member in sorted(vars(module).items()):
        own_key = getattr(member, "__name__", key)
        is_alias = own_key != key and vars(module).get(own_key) is member
        if (
            is_alias
            or not _public(key)
            or not _is_from(name, member)
            or _own_name(member) in described
        ):
            continue
        if inspect.isclass(member):
            yield from _row(
                f"{name}.{key}", name, "class", _asked_signature(member), member.__doc__
            )
            for attribute, value in sorted(vars(member).items()):
                if _public(attribute) and _made_in_c(value):
                    kind = "property" if inspect.isdatadescriptor(value) else "method"
                    yield from _row(
                        f"{name}.{key}.{attribute}",
                        name,
                        kind,
                        _asked_signature(value),
                        value.__doc__,
                    )
        elif _made_in_c(member):
            yield from _row(
                f"{name}.{key}", name, "function", _asked_signature(member), member.__doc__
            )


def _is_from(name: str, member: object) -> bool:
    """Whether `member` is the module's own, or from a hidden C module behind it, rather than another public module's."""
    owner = str(getattr(member, "__module__", None) or name).partition(".")[0].lstrip("_")
    return owner in {name, "posix", "nt"} or owner not in sys.stdlib_module_names


def _own_name(member: object) -> str:
    return f"{getattr(member, '__module__', '')}.{getattr(member, '__qualname__', '')}"


def _made_in_c(member: object) -> bool:
    return (
        not isinstance(member, property)
        and (
            inspect.isbuiltin(member)
            or inspect.ismethoddescriptor(member)
            or inspect.isgetsetdescriptor(member)
        )
        and not isinstance(member, classmethod | staticmethod)
    )


def _asked_signature(member: Any) -> str:
    try:
        return _without_self(str(inspect.signature(member)))
    except (TypeError, ValueError):  # C code does not always tell
        return ""


def _row(name: str, module: str, kind: str, signature: str, doc: str | None) -> Iterator[Row]:
    """The row of one documented thing; nothing when it has no docstring."""
    start = _beginning(inspect.cleandoc(doc)) if isinstance(doc, str) else ""
    if start:
        yield {
            "id": name,
            "text": f"{name}: {start}",
            "module": module,
            "kind": kind,
            "signature": signature[:MAX_SIGNATURE],
        }


def _beginning(doc: str) -> str:
    """The start of a docstring on one line: up to its first doctest, cut at a word's end near MAX_CHARACTERS."""
    words = " ".join(doc.partition(">>>")[0].split())
    return (
        words if len(words) <= MAX_CHARACTERS else words[:MAX_CHARACTERS].rpartition(" ")[0] + " …"
    )


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


def run(
    folder: Path, embedder: str, *, quiet: bool = False, rows: Sequence[Row] | None = None
) -> list[dict[str, Any]]:
    """Fill the collection at `folder`, ask the questions, and say what to type next. Returns the answers.

    Run again, it finds every text unchanged and embeds nothing; interrupted, it goes on where it stopped. `rows` replaces
    the docstrings. Raises VecsearchError.
    """
    from vecsearch.collection import create, open_collection
    from vecsearch.errors import CollectionNotFoundError

    screen = Console(quiet=quiet, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if rows is None:
        screen.print(
            f"Reading the docstrings of Python {platform.python_version()}'s standard library."
        )
        rows = stdlib_docs()
    kinds = [
        f"{number:,} {PLURAL[kind]}"
        for kind, number in Counter(row["kind"] for row in rows).most_common()
    ]
    screen.print(f"{len(rows):,} documents: {', '.join(kinds)}.")
    try:
        collection = open_collection(folder)
    except CollectionNotFoundError:
        collection = create(folder, embedder=embedder)
    with collection:
        screen.print(
            f"Embedding them with {collection.info().embedder}; this takes a minute or two the first time."
        )
        start = time.perf_counter()
        done = collection.add(rows, on_conflict="replace")
        seconds = time.perf_counter() - start
        screen.print(f"{done.embedded:,} texts embedded in {seconds:.0f} s.")
        screen.print(f"Index {shown_build(collection.build_index())}.")
        answers = [_ask(collection, question, quiet) for question in QUESTIONS]
    screen.print(_next_steps(folder))
    return answers


def _ask(collection: Collection, question: Question, quiet: bool) -> dict[str, Any]:
    start = time.perf_counter()
    hits = collection.search(question.text, k=HITS, where=question.where)
    milliseconds = 1000 * (time.perf_counter() - start)
    if not quiet:
        out.print(f"\n{question.text}", style="bold")
        if question.where:
            out.print(f"where {question.where}", style="bold")
        print_hits(hits, ["kind"], "text", question.text)
        out.print(f"{milliseconds:.0f} ms; {hits.plan}", style="dim", soft_wrap=True)
    return {
        "question": question.text,
        "where": question.where,
        "hits": [hit.to_dict() for hit in hits],
    }


def _next_steps(folder: Path) -> str:
    """What to type next, with the commands as they are reached from here."""
    command, python = (
        _reached(Path(sys.executable).with_name(name)) for name in ("vecsearch", "python")
    )
    place = shlex.quote(str(folder))
    return f"""
Ask your own questions:
  {command} search {place} "split text into words"
  {command} search {place} "wait for a connection" --where "module LIKE 'asyncio%'" --columns signature -k 5
  {command} info {place}

From Python ({python}):
  import vecsearch as vs
  c = vs.open({str(folder)!r})
  for hit in c.search("split text into words", k=5):
      print(hit.rank, hit.score, hit.id, hit["signature"])

Your own files (.csv, .jsonl, .parquet, or a folder of .txt and .md):
  {command} ingest notes/ notes.vs
  {command} search notes.vs "what did we decide about the budget"
"""


def _reached(program: Path) -> str:
    """How to type a program that stands beside this interpreter: by its name where the shell finds that very file."""
    found = shutil.which(program.name)
    if (
        found
        and Path(found).resolve() == program.resolve()
        and Path(found).parent == program.parent
    ):
        return program.name
    return shlex.quote(os.path.relpath(program))
