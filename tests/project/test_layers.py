"""The house keeps its order: a module imports only from lower floors, and heavy libraries stay where they belong."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "vecsearch"

# From the ground up. A room imports from the floors below its own; rooms of one floor do not know each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("costs", "errors", "heap", "principal", "progress", "types"),
    ("disk", "evaluate"),
    ("chunk", "embedders", "exact", "filter", "manifest", "plan", "recipe", "segment", "sources"),
    ("faiss_index", "ids", "spectrum"),
    ("snapshot",),
    ("features", "hits", "records", "search", "store"),
    ("merge", "model", "vector_cache"),
    ("advice", "rebase", "calibrate", "checkpoint", "ingest", "measure", "quality"),
    ("choose",),
    ("build", "maintain", "sampling", "reembed"),
    ("bench", "check"),
    ("backup",),
    ("dimensions",),
    ("collection",),
    ("arithmetic", "terminal"),
    ("demo",),
    ("cli",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

ONLY_IN = {  # a library -> the rooms that may import it
    "faiss": {"exact", "faiss_index", "sources"},
    "llvmlite": {"faiss_index"},
    "numba": {"faiss_index"},
    "pandas": {"hits", "sources"},
    "polars": {"sources"},
    "sqlglot": {"filter"},
    "torch": {"embedders", "features"},
    "sentence_transformers": {"embedders"},
    "chonkie": {"chunk"},
    "typer": {"cli", "terminal"},
    "rich": {"demo", "progress", "terminal"},
}


def room_of(path: Path) -> str:
    """`embedders/toy.py` is in the room `embedders`, and `filter_sql.py` in the room `filter`."""
    return room(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))


def room(module: str) -> str:
    family = module.partition("_")[0]
    return family if family in FLOOR else module


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted names of what is imported anywhere in a module, functions and TYPE_CHECKING included, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write the full name"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def violations(own: str, tree: ast.AST) -> list[str]:
    """What a module of this room imports that it must not."""
    wrong = []
    for name, line in imported(tree):
        top, _, rest = name.partition(".")
        if top == "vecsearch":
            other = room(rest.partition(".")[0])
            if other not in FLOOR:
                wrong.append(f"line {line}: imports {other or 'the package root'!r}, which is no room")
            elif other != own and FLOOR[other] >= FLOOR[own]:
                wrong.append(f"line {line}: {own} (floor {FLOOR[own]}) imports {other} (floor {FLOOR[other]})")
        elif own not in ONLY_IN.get(top, {own}):
            wrong.append(f"line {line}: {top} belongs to {', '.join(sorted(ONLY_IN[top]))}")
    return wrong


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    own = room_of(path)
    assert own in FLOOR, f"{path.name} stands on no floor: add it to FLOORS"
    assert violations(own, ast.parse(path.read_text(encoding="utf-8"))) == []


def test_every_room_in_the_table_exists() -> None:
    rooms = {room_of(path) for path in modules()}
    assert set(FLOOR) - rooms == set()


@pytest.mark.parametrize(
    ("own", "source", "message"),
    [
        ("segment", "from vecsearch.collection import Collection", "segment (floor 2) imports collection"),
        ("segment", "def f():\n    import vecsearch.ids", "line 2: segment (floor 2) imports ids"),
        ("chunk", "from vecsearch.segment import Segment", "chunk (floor 2) imports segment (floor 2)"),
        ("ingest", "import vecsearch", "the package root"),
        ("ingest", "import faiss", "faiss belongs to exact, faiss_index, sources"),
    ],
)
def test_a_violation_is_seen(own: str, source: str, message: str) -> None:
    (found,) = violations(own, ast.parse(source))
    assert message in found


def test_what_is_allowed_is_not_a_violation() -> None:
    source = "import numpy\nfrom vecsearch import errors\nfrom vecsearch.segment import Segment\nimport faiss.contrib"
    assert violations("faiss_index", ast.parse(source)) == []
    assert violations("embedders", ast.parse("from vecsearch.embedders.base import Embedder")) == []


@pytest.mark.parametrize("statement", ["import vecsearch", "import vecsearch.cli", "import vecsearch.errors, vecsearch.types"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    heavy = "numpy pyarrow faiss torch pandas polars sqlglot sentence_transformers transformers".split()
    script = f"import sys\n{statement}\nprint([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
    assert answer.stderr == ""
