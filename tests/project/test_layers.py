"""The import rules in pyproject.toml hold, and break when an import is reversed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter")

ROOT = Path(__file__).parents[2]
FRONT = set("__init__.py async_collection.py display.py errors.py".split())


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-cache",
    ]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(folder), "PATH": ""},
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its rules in a folder of its own, to be changed."""
    shutil.copytree(
        ROOT / "vecsearch", tmp_path / "vecsearch", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_rules_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "statement", "broken"),
    [
        (
            "storage/snapshot.py",
            "from vecsearch.query.plan import plan",
            "storage is not allowed to import vecsearch.query",
        ),
        (
            "index/build.py",
            "from vecsearch.ingest.add import add_documents",
            "index is not allowed to import vecsearch.ingest",
        ),
        (
            "query/plan.py",
            "import vecsearch.collection",
            "query is not allowed to import vecsearch.collection",
        ),
        (
            "storage/segment.py",
            "def later():\n    import faiss",
            "vecsearch.storage.segment -> faiss",
        ),
        ("ingest/rows.py", "import sqlglot", "vecsearch.ingest.rows -> sqlglot"),
        ("query/plan.py", "import torch", "vecsearch.query.plan -> torch"),
        ("index/build.py", "import numba", "vecsearch.index.build -> numba"),
    ],
)
def test_a_reversed_import_is_found(copy: Path, module: str, statement: str, broken: str) -> None:
    path = copy / "vecsearch" / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n\n{statement}\n", encoding="utf-8")
    done = lint(copy)
    assert done.returncode != 0
    assert broken in " ".join(done.stdout.split()), done.stdout


def test_only_the_public_face_lies_outside_a_package() -> None:
    assert {path.name for path in (ROOT / "vecsearch").glob("*.py")} == FRONT


@pytest.mark.parametrize(
    "statement",
    ["import vecsearch", "import vecsearch.cli", "import vecsearch.errors, vecsearch.types"],
)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    heavy = (
        "numpy pyarrow faiss torch pandas polars sqlglot sentence_transformers transformers msgspec"
    ).split()
    script = f"import sys\n{statement}\nprint([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
    assert answer.stderr == ""
