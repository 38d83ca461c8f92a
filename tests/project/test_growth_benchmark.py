"""The benchmark of growth: its made rows, what it leaves out, and a small run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import growth, measure  # noqa: E402


def test_made_rows_have_the_covariance_of_the_real_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scale = np.arange(1, 17) ** -0.7
    centers = rng.normal(size=(100, 16)) * scale
    real = centers[rng.integers(100, size=10_000)] + 0.4 * scale * rng.normal(size=(10_000, 16))
    real = (real / np.linalg.norm(real, axis=1, keepdims=True)).astype(np.float32)
    data = growth.mixed(growth.Mixture.of(real), 20_000, tmp_path / "rows.npy")
    assert data.base.shape == (20_000, 16) and data.queries.shape == (growth.QUERIES, 16)
    np.testing.assert_allclose(np.linalg.norm(data.base, axis=1), 1, rtol=1e-5)
    found, wanted = (np.linalg.eigvalsh(np.cov(rows.T))[::-1] for rows in (data.base, real))
    np.testing.assert_allclose(found[:8], wanted[:8], rtol=0.3)
    again = growth.mixed(growth.Mixture.of(real), 20_000, tmp_path / "again.npy")
    assert np.array_equal(data.base, again.base) and np.array_equal(data.queries, again.queries)


@pytest.mark.parametrize(
    ("seconds", "index_mb", "why"),
    [
        (60.0, 10.0, None),
        (300.0, 10.0, "50 minutes"),
        (60.0, measure.total_memory_mb() / 9, "GB of memory"),
    ],
)
def test_what_would_take_too_much_is_not_built(
    seconds: float, index_mb: float, why: str | None
) -> None:
    facts = {"seconds": seconds, "index_mb": index_mb}
    before = {"error": None, "build_facts": facts, "numbers": 10**6}
    found = growth.too_much(before, 10**7, minutes=40)
    assert (found is None) == (why is None) and (why or "") in (found or "")
    assert growth.too_much(before | {"error": "it failed"}, 10**7, 40) == "it failed"


def test_sizes_stand_beside_those_of_earlier_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(
        options: Any, work: Path, data: Any, earlier: list[dict[str, Any]]
    ) -> dict[str, Any]:
        work.mkdir()
        seen.append([each["rows"] for each in earlier])
        return {
            "data": data.name,
            "date": "2026-01-01",
            "hardware": measure.hardware(),
            "rows": len(data.base),
            "dim": data.base.shape[1],
            "entries": [],
            "left_out": {"other": "no reason"},
        }

    seen: list[list[int]] = []
    monkeypatch.setattr(growth, "measured", measured)
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(2500, 16)))
    np.save(tmp_path / "b.npy", np.random.default_rng(1).normal(size=(2300, 24)))
    common = [str(tmp_path / "a.npy"), "--results", str(tmp_path), "--work", str(tmp_path)]
    growth.main([*common, "--sizes", "4000", "1500"])
    growth.main([*common, "--sizes", "1500", "--real", str(tmp_path / "b.npy")])
    assert seen == [[], [1500], [1500, 4000], [1500, 4000]]
    sizes = json.loads((tmp_path / "growth.json").read_text())["sizes"]
    assert [(each["rows"], each["dim"]) for each in sizes] == [(1500, 16), (1800, 24), (4000, 16)]
    page = (tmp_path / "growth.md").read_text()
    assert page.count("other is left out: no reason.") == 3 and "mixture-4000" in page
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


@pytest.mark.slow
def test_a_small_run_measures_every_size(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(2500, 16)))
    options = ["--only", "vecsearch", "--rounds", "1", "--seconds", "0.05", "--sizes", "1500"]
    growth.main([str(tmp_path / "a.npy"), *options, "3000", "--results", str(tmp_path)])
    page = (tmp_path / "growth.md").read_text().splitlines()
    rows = [line.split("|")[1:-1] for line in page if line.startswith("| vecsearch")]
    assert len(rows) == 4 and all(len(cells) == 7 for cells in rows)
    assert all(float(cells[2].replace(",", "")) > 0 for cells in rows)
