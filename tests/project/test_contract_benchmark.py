"""The contract benchmark: its cells are counted right, a broken promise is seen, and a small grid
of it holds.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("faiss")

import vecsearch as vs
from benchmarks import cases, contract, measure
from benchmarks.datasets import Dataset

WIDE_CALIBRATION = True


def small(queries: int = 60) -> Dataset:
    return contract._split("small", contract.spectral(6000, 1.0, dim=32), "cosine", None, queries)


def alive(root: Path, data: Dataset) -> contract.Life:
    columns, centroids = cases.make_columns(data)
    c = vs.create(root, dim=data.base.shape[1], metric=data.metric)
    return contract.Life(
        c, np.zeros(len(data.base), bool), data, columns, centroids, data.queries[:0]
    )


def test_a_small_grid_keeps_the_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    monkeypatch.setattr(
        "vecsearch.index.measurer.row_micros", lambda dim: 50.0
    )  # so that the index is taken
    monkeypatch.setitem(contract.SETS, "small", lambda limit, queries: small(queries))
    monkeypatch.setattr(contract, "REGION_QUERIES", 50)
    options = "--sets small --queries 60 --again 700 --ks 10 --targets 0.9".split()
    options += "--recipe low-latency --output tiny".split()
    monkeypatch.setattr("sys.argv", ["contract.py", *options])
    assert contract.main() == 0
    report = json.loads((tmp_path / "tiny.json").read_text())
    assert len(report["cells"]) == 4 * (len(cases.CASES) + 1) and all(
        cell["queries"] == 60 for cell in report["cells"]
    )
    stages = ["after build", "after adding 20%", "after deleting 20%", "after compact"]
    assert list(dict.fromkeys(cell["stage"] for cell in report["cells"])) == stages
    regions = report["regions"]
    assert regions and {each["stage"] for each in regions} <= set(stages)
    assert all(each["queries"] >= 50 and each["kept"] for each in regions)
    dense = [cell for cell in report["cells"] if cell["filter"] == cases.DENSEST]
    assert len(dense) == 4 and all(cell["kept"] for cell in dense)
    unfiltered = [cell for cell in report["cells"] if cell["filter"] == "no filter"]
    for cell in unfiltered:
        by_codes = cell["methods"].get("index", 0) + cell["methods"].get("scan", 0)
        assert by_codes > 45 and cell["recall"] > 0.85
        assert 0 <= cell["below_target"] <= 1 and cell["worst_tenth"] <= cell["recall"]
    page = (tmp_path / "tiny.md").read_text()
    assert (
        "32 of 32 cells keep the promise" in page
        and "## Broken" not in page
        and page.count("| 0.1% | 10 |") == 4
    )


def test_what_is_missed_or_outside_the_filter_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = alive(tmp_path / "c.vs", small(40))
    for stage, _ in contract.stages(life, "exact", 1, 0):
        if stage == "after adding 20%":
            break
    assert life.there.all() and len(life.collection) == len(life.there)
    cells = list(contract.measured(life, stage, [10], [0.95]))
    assert all(cell.kept and cell.recall == 1 and cell.methods == {"exact": 40} for cell in cells)

    def shifted(c: vs.Collection, queries: Any, wheres: Any, k: int, target: float) -> Any:
        found, methods, micros = original(c, queries, wheres, k, target)
        return [[*ids[:-2], *range(5958, 5960)] for ids in found], methods, micros

    original = contract._ask
    monkeypatch.setattr(contract, "_ask", shifted)  # two of ten are wrong, and outside most filters
    cells = list(contract.measured(life, stage, [10], [0.95]))
    assert not any(cell.kept for cell in cells if cell.filter in ("no filter", "0.1%"))
    assert all(cell.broken_filters for cell in cells if cell.filter == "0.1%")
    assert all(
        cell.recall == pytest.approx(0.8, abs=0.01) for cell in cells if cell.filter == "no filter"
    )
    total = contract.summary(cells)
    assert total["kept"] < total["cells"] == len(cases.CASES) + 1 and total["mean_margin"] < 0


def test_what_fails_is_asked_again_with_other_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small(140)
    data, others = replace(data, queries=data.queries[:40]), data.queries[40:]
    life = replace(alive(tmp_path / "c.vs", data), others=others)
    stage, _ = next(contract.stages(life, "exact", 1, 0))

    def bad(c: vs.Collection, queries: Any, wheres: Any, k: int, target: float) -> Any:
        found, methods, micros = original(c, queries, wheres, k, target)
        wrong = always or len(queries) == 40
        return [ids[:-5] if wrong else ids for ids in found], methods, micros

    original, always = contract._ask, False
    monkeypatch.setattr(contract, "_ask", bad)
    asked = [cell for cell in contract.measured(life, stage, [10], [0.95]) if cell.again]
    assert asked and all(cell.kept and cell.again == (100, 1.0, 1.0) for cell in asked)
    always = True
    asked = [cell for cell in contract.measured(life, stage, [10], [0.95]) if cell.again]
    assert asked and not any(cell.kept for cell in asked)
    assert contract.regions(life, stage, [10], [0.95]) == []  # too few queries


def test_a_target_inside_the_interval_is_kept() -> None:
    cell = contract.Cell("d", "s", "f", 10, 0.95, 0.94, 0.92, 0.955, 500, 0, {"index": 500}, 1.0)
    assert (
        cell.kept
        and not replace(cell, high=0.949).kept
        and not replace(cell, broken_filters=1).kept
    )
