"""What everyday operations cost beside LanceDB and DuckDB, in one interleaved run.

    python -m benchmarks.operations [ROWS] [--dim 128] [--only vecsearch lancedb] [--work FOLDER]

Each library runs in a process of its own, with all cores. At each step the libraries have their
turns one after another, in an order that alternates, so that a slow phase of the machine meets all
of them. Measured are wall time, processor time, bytes handed to the file system and the growth of
the resident memory that no file backs. Answers that must be equal are compared. Results go to
results/operations-ROWS.json and .md. A library that is not installed is left out, and named.

LanceDB syncs nothing to the disk; vecsearch syncs each change, which is its promise. Lance's index
is its default, which measures no recall: times of searches with an index are not at equal recall.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.operations.libraries import Library
from benchmarks.operations.steps import steps
from benchmarks.operations.stores import STORES

RESULTS = Path(__file__).parents[1] / "results"
MISSING = "–"


def run(rows: int, dim: int, packages: Sequence[str], work: Path) -> dict[str, Any]:
    """Measure every step with every library.

    Raises:
        AssertionError: Libraries disagree about an answer that must be equal.
    """
    libraries = [Library(package, work, dim) for package in packages]
    table: list[dict[str, Any]] = []
    for number, step in enumerate(steps(rows, dim)):
        took: dict[str, Any] = {}
        answers: dict[str, Any] = {}
        for library in libraries if number % 2 else libraries[::-1]:
            if library.can(step) and (result := library.run(step)) is not None:
                took[library.package], answers[library.package] = result
        if step.same and len({json.dumps(answer) for answer in answers.values()}) > 1:
            raise AssertionError(f"{step.name}: the answers differ: {str(answers)[:500]}")
        table.append({"step": step.name, **took})
        shown = "  ".join(f"{name} {one['cpu']:.3f} s" for name, one in took.items())
        print(f"{step.name:32} {shown}", flush=True)
    for library in libraries:
        library.stop()
    return {
        "rows": rows,
        "dim": dim,
        "hardware": measure.hardware(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "left out": {each.package: each.failed for each in libraries if each.failed},
        "table": table,
    }


def page(results: dict[str, Any]) -> str:
    """The run as Markdown: for each library wall seconds, processor seconds and MB written."""
    packages, hardware = list(results["versions"]), results["hardware"]
    versions = ", ".join(f"{name} {each}" for name, each in results["versions"].items())
    heads = [f"{name} {what}" for what in ("wall s", "CPU s", "MB") for name in packages]
    lines = [
        f"# Operations on {results['rows']:,} rows of {results['dim']} dimensions",
        "",
        f"{hardware['cpu']}, {hardware['cores']} cores; {versions}",
        "",
        "| operation | " + " | ".join(heads) + " |",
        "|---|" + "--:|" * len(heads),
    ]
    for row in results["table"]:
        cells = [
            f"{row[name][key] / scale:,.{digits}f}" if name in row else MISSING
            for key, scale, digits in (("wall", 1, 3), ("cpu", 1, 3), ("written", 1e6, 2))
            for name in packages
        ]
        lines.append(f"| {row['step']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    options.add_argument("rows", nargs="?", type=int, default=100_000)
    options.add_argument("--dim", type=int, default=128)
    options.add_argument("--only", nargs="*", default=list(STORES))
    options.add_argument("--work", type=Path)
    options.add_argument("--output", type=Path, default=RESULTS)
    given = options.parse_args()
    found = [name for name in given.only if importlib.util.find_spec(name)]
    for name in set(given.only) - set(found):
        print(f"{name} is not installed and is left out", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        results = run(given.rows, given.dim, found, given.work or Path(temporary))
    given.output.mkdir(parents=True, exist_ok=True)
    path = given.output / f"operations-{given.rows}"
    rounded = measure.rounded(results)
    path.with_suffix(".json").write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page(results), encoding="utf-8")
    print(f"written: {os.path.relpath(path)}.json and .md")


if __name__ == "__main__":
    main()
