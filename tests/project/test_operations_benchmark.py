"""The benchmark of operations runs, and its libraries agree about what they hold."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.operations import __main__ as operations  # noqa: E402


@pytest.mark.slow
def test_a_small_run_measures_every_operation(tmp_path: Path) -> None:
    results = operations.run(2000, 8, ["vecsearch", "duckdb"], tmp_path)
    assert not results["left out"]
    table = {row["step"]: row for row in results["table"]}
    assert all("vecsearch" in row for row in table.values())
    assert "duckdb" in table["update 30 %"] and "duckdb" not in table["build_index"]
    # the vectors alone are 64,000 bytes; a new column moves none of them
    assert table["load"]["vecsearch"]["written"] > 64_000
    assert table["add_column"]["vecsearch"]["written"] < 40_000
    page = operations.page(results).splitlines()
    assert f"| {'add_column'} |" in "\n".join(page) and "–" in "\n".join(page)
    assert len({line.count("|") for line in page if line.startswith("|")}) == 1
