"""`vecsearch bench`: what it reports is what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.data import clustered

import vecsearch as vs
from vecsearch.evaluation import bench


def test_the_report_is_written_as_table_json_and_plot(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Exact search of 3,000 rows may be cheaper than any index, whose curve then ends early: make it
    # look dear.
    monkeypatch.setattr("vecsearch.index.measurer.row_micros", lambda dim: 100.0)
    c = vs.create(root, dim=32)
    c.add(clustered(3000, 32))
    version = c.info().version
    report = bench.compare_recipes(
        c._store, ["low-latency", "IVF16,Flat"], k=10, queries=None, seed=0
    )
    assert c.refresh().info().version == version and not c.info().indexes  # nothing is committed
    assert [curve["recipe"] for curve in report["curves"]] == ["low-latency", "IVF16,Flat"]
    for curve in report["curves"]:
        costs = [micros for _, _, micros in curve["points"]]
        lows = [low for _, low, _ in curve["points"]]
        assert (
            costs == sorted(costs)
            and lows == sorted(lows)
            and lows[-1] > 0.9
            and curve["memory_bytes"] > 3000
        )
    rows = bench.table(report)
    assert [row[0] for row in rows] == ["low-latency", "IVF16,Flat", "exact"] and rows[-1][
        3
    ].endswith("µs")
    bench.write_json(report, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["rows"] == 3000
    pytest.importorskip("matplotlib")
    bench.write_plot(report, tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_the_cost_at_a_target_is_the_cheapest_that_reaches_it() -> None:
    curve = bench.Curve("x", 1, 1, [(0.9, 0.89, 10.0), (0.96, 0.95, 20.0), (0.99, 0.98, 40.0)])
    assert [curve.micros_at(target) for target in (0.5, 0.9, 0.95, 0.99)] == [
        10.0,
        20.0,
        20.0,
        None,
    ]


def test_too_few_rows_are_refused(root: Path) -> None:
    c = vs.create(root, dim=4)
    c.add(clustered(50, 4))
    with pytest.raises(vs.InvalidInputError, match="nothing to compare"):
        bench.compare_recipes(c._store, ["auto"], k=10, queries=None, seed=0)
