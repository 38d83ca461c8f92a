"""The demo's corpus: the docstrings of Python's own standard library.

The corpus is read from the running interpreter. Modules written in Python are parsed, never
imported, so none of their code runs. Modules written in C have no source to parse; those few are
imported and inspected. The result depends only on the interpreter's version.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
import sysconfig
import warnings
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, str]
# Modules without documentation to search (tests, an editor), or with effects when imported.
SKIPPED = frozenset(
    "antigravity distutils encodings ensurepip idlelib lib2to3 nt ntpath posix pydoc_data readline "
    "test this tkinter turtle turtledemo xxlimited xxsubtype".split()
)
# Python modules that export members of a hidden C module (`os.getcwd` comes from `posix`,
# `re.Pattern` from `_sre`). Importing them is harmless: any Python program loads most of them.
WITH_C_MEMBERS = (
    "asyncio bisect bz2 codecs collections contextvars csv datetime decimal functools hashlib "
    "heapq io json locale lzma operator os pickle queue random re signal socket sqlite3 ssl "
    "statistics string struct threading tracemalloc weakref zoneinfo"
).split()
PATH_MODULES = frozenset({os.path.__name__, "genericpath"})  # they define the members of `os.path`
MAX_CHARACTERS = 200
MAX_SIGNATURE = 160


def stdlib_docs() -> list[Row]:
    """One row for each documented public module, class, function, method and property.

    Returns:
        Rows sorted by id, with the columns `id` (the dotted name), `text` (the name and the start
        of the docstring), `module`, `kind` ("module", "class", "function", "method" or
        "property") and `signature` (empty where there is none).
    """
    rows: dict[str, Row] = {}
    sources = _source_modules(Path(sysconfig.get_path("stdlib")))
    for module, path in sources:
        for row in parsed_docs(module, path):
            rows.setdefault(row["id"], row)
    written_in_c = [
        name
        for name in sorted(sys.stdlib_module_names)
        if _is_public(name) and name not in dict(sources)
    ]
    for name in [*written_in_c, *WITH_C_MEMBERS]:
        for row in _inspected_docs(name, frozenset(rows)):
            rows.setdefault(row["id"], row)
    return sorted(rows.values(), key=lambda row: row["id"])


def _is_public(name: str) -> bool:
    return not name.startswith("_") and name not in SKIPPED


def _source_modules(stdlib: Path) -> list[tuple[str, Path]]:
    """Dotted name and file of every public Python module of the standard library."""
    modules = []
    for top in sorted(sys.stdlib_module_names):
        files = [stdlib / f"{top}.py", *sorted((stdlib / top).rglob("*.py"))]
        for path in files:
            parts = path.relative_to(stdlib).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            if path.is_file() and all(_is_public(part) and part != "tests" for part in parts):
                name = ".".join(parts)
                modules.append(("os.path" if name in PATH_MODULES else name, path))
    return modules


def parsed_docs(module: str, path: Path) -> Iterator[Row]:
    """Rows of one source file; none if this interpreter cannot parse it (a template, say)."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return
    yield from _row(module, module, "module", "", ast.get_docstring(tree))
    yield from _parsed_members(module, module, tree.body, "function")


def _parsed_members(
    module: str, parent: str, body: list[ast.stmt], function_kind: str
) -> Iterator[Row]:
    """Rows of the public definitions in a module's or a class's body."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):  # definitions that depend on the platform
            yield from _parsed_members(module, parent, [*node.body, *node.orelse], function_kind)
        elif isinstance(node, ast.ClassDef) and _is_public(node.name):
            name = f"{parent}.{node.name}"
            doc = ast.get_docstring(node)
            yield from _row(name, module, "class", _constructor_signature(node), doc)
            yield from _parsed_members(module, name, node.body, "method")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_public(node.name):
            name = f"{parent}.{node.name}"
            kind, signature = function_kind, _parsed_signature(node)
            if function_kind == "method" and _is_property(node):
                kind, signature = "property", ""
            yield from _row(name, module, kind, signature, ast.get_docstring(node))


def _constructor_signature(node: ast.ClassDef) -> str:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return _parsed_signature(item)
    return ""


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return not names.isdisjoint({"property", "cached_property"})


def _parsed_signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return _without_self(f"({ast.unparse(node.args)}){returns}")


def _without_self(signature: str) -> str:
    for first in ("self", "cls", "$self"):
        for start in (f"({first}, /, ", f"({first}, /)", f"({first}, ", f"({first})"):
            if signature.startswith(start):
                return ("()" if start.endswith(")") else "(") + signature.removeprefix(start)
    return signature


def _inspected_docs(name: str, described: Container[str]) -> Iterator[Row]:
    """Rows of a module's members written in C; none if this build of Python lacks the module."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated modules warn when they are imported
            module = importlib.import_module(name)
    except ImportError:
        return
    yield from _row(name, name, "module", "", module.__doc__)
    for key, member in sorted(vars(module).items()):
        original = getattr(member, "__name__", key)
        is_alias = original != key and vars(module).get(original) is member
        if is_alias or not _is_public(key) or not _belongs_to(name, member):
            continue
        if _qualified_name(member) in described:
            continue
        full_name = f"{name}.{key}"
        if inspect.isclass(member):
            yield from _row(full_name, name, "class", _signature(member), member.__doc__)
            yield from _inspected_methods(name, full_name, member)
        elif _is_written_in_c(member):
            yield from _row(full_name, name, "function", _signature(member), member.__doc__)


def _inspected_methods(module: str, class_name: str, member: type) -> Iterator[Row]:
    for key, value in sorted(vars(member).items()):
        if _is_public(key) and _is_written_in_c(value):
            kind = "property" if inspect.isdatadescriptor(value) else "method"
            name = f"{class_name}.{key}"
            yield from _row(name, module, kind, _signature(value), value.__doc__)


def _belongs_to(name: str, member: object) -> bool:
    """Whether a member is the module's own, or from a hidden C module behind it."""
    owner = str(getattr(member, "__module__", None) or name).partition(".")[0].lstrip("_")
    return owner in {name, "posix", "nt"} or owner not in sys.stdlib_module_names


def _qualified_name(member: object) -> str:
    return f"{getattr(member, '__module__', '')}.{getattr(member, '__qualname__', '')}"


def _is_written_in_c(member: object) -> bool:
    if isinstance(member, property | classmethod | staticmethod):
        return False
    return (
        inspect.isbuiltin(member)
        or inspect.ismethoddescriptor(member)
        or inspect.isgetsetdescriptor(member)
    )


def _signature(member: Any) -> str:
    try:
        return _without_self(str(inspect.signature(member)))
    except (TypeError, ValueError):  # C code does not always declare its signature
        return ""


def _row(name: str, module: str, kind: str, signature: str, doc: str | None) -> Iterator[Row]:
    """The row of one documented thing; nothing if it has no docstring."""
    start = beginning(inspect.cleandoc(doc)) if isinstance(doc, str) else ""
    if start:
        yield {
            "id": name,
            "text": f"{name}: {start}",
            "module": module,
            "kind": kind,
            "signature": signature[:MAX_SIGNATURE],
        }


def beginning(doc: str) -> str:
    """The start of a docstring on one line: up to its first doctest, cut near MAX_CHARACTERS."""
    words = " ".join(doc.partition(">>>")[0].split())
    if len(words) <= MAX_CHARACTERS:
        return words
    return words[:MAX_CHARACTERS].rpartition(" ")[0] + " …"
