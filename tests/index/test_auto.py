"""How many components an index needs: data of known spectra, against plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from support.data import clustered

import vecsearch as vs
from vecsearch.index import measurer
from vecsearch.index.auto import QUERIES, TOP, WANTED, WITHIN, components_needed
from vecsearch.index.calibration import OperatingPoint

Vectors = npt.NDArray[np.float32]


def falling(power: float, rows: int = 1500, dim: int = 192) -> Vectors:
    """Normal rows whose variances fall with a power of the rank, randomly rotated."""
    rng = np.random.default_rng(5)
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    scaled = rng.standard_normal((rows, dim)) * np.arange(1, dim + 1) ** (-power / 2)
    vectors: Vectors = (scaled @ turn + 0.3).astype(np.float32)
    return vectors


def share_found(sample: Vectors, components: int, metric: str) -> float:
    """The oracle, in float64 with a full sort: share of true neighbors that the components find."""
    data = sample.astype(np.float64)
    center = data.mean(axis=0) if metric != "ip" else np.zeros(data.shape[1])
    _, _, axes = np.linalg.svd(data - center, full_matrices=False)
    low = (data - center) @ axes[:components].T

    def ranking(vectors: npt.NDArray[np.float64], count: int) -> list[set[int]]:
        queries, rows = vectors[:QUERIES], vectors[QUERIES:]
        distances = (
            -queries @ rows.T if metric == "ip" else ((rows**2).sum(axis=1) - 2 * queries @ rows.T)
        )
        return [set(line[:count].tolist()) for line in np.argsort(distances, axis=1)]

    pairs = zip(ranking(data - center, TOP), ranking(low, WITHIN), strict=True)
    return float(np.mean([len(true & found) / TOP for true, found in pairs]))


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize(("power", "least", "most"), [(0, 192, 192), (1, 64, 160), (3, 32, 32)])
def test_the_flatter_the_spectrum_the_more_components(
    power: float, least: int, most: int, metric: str
) -> None:
    sample = falling(power)
    needed = components_needed(sample, metric)
    assert least <= needed <= most
    assert (
        share_found(sample, needed, metric) >= WANTED - 0.002
    )  # float32 and float64 may differ in a tie
    if needed > 32:
        assert share_found(sample, needed - 32, metric) < WANTED + 0.002


def test_low_rank_data_needs_its_rank() -> None:
    rng = np.random.default_rng(6)
    base = clustered(3000, 40, seed=6)
    lifted = (
        base @ rng.standard_normal((40, 256)) + 1e-4 * rng.standard_normal((3000, 256))
    ).astype(np.float32)
    assert components_needed(lifted, "l2") in (32, 64)


def test_too_few_rows_or_dimensions_are_kept_whole() -> None:
    assert components_needed(falling(3, rows=18), "l2") == 192
    assert components_needed(clustered(1000, 20), "l2") == 20


def test_auto_keeps_the_number_of_components_it_chose_from_the_data(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [OperatingPoint(16, 20, 10, 0.96, 0.96, 1.0)]
    monkeypatch.setattr(measurer, "calibrate_index", lambda *arguments, **named: points)
    base = falling(1.3, rows=6500)
    c = vs.create(root, dim=192, metric="l2")
    c.add(base[:5000])
    c.build_index(threads=1)
    (index,) = c.info().indexes
    assert index.recipe["name"] == "auto" and index.recipe["reduced"] in (64, 96, 128)
    c.add(base[5000:])
    monkeypatch.setattr("vecsearch.index.auto.components_needed", lambda *arguments: 32)
    assert c.build_index(threads=1).how == "extended"  # the same number of components still
    assert c.info().indexes[0].recipe["reduced"] == index.recipe["reduced"]
    c.delete(where="id < 4000")
    assert c.build_index(threads=1).how == "none"  # too few rows are left


@pytest.mark.parametrize("dim", [16, 192])
def test_a_collection_that_becomes_large_keeps_its_graph(
    root: Path, monkeypatch: pytest.MonkeyPatch, dim: int
) -> None:
    """From LARGE rows on new nodes choose among more candidates; graphs that are there do not."""
    point = OperatingPoint(16, 20, 10, 0.96, 0.96, 1.0, 0.0, 0.9, -1e9, ((16, -1e9),))
    monkeypatch.setattr(measurer, "calibrate_index", lambda *arguments, **named: [point])
    monkeypatch.setattr("vecsearch.index.auto.LARGE", 6000)
    base = np.random.default_rng(3).standard_normal((8000, dim)).astype(np.float32)
    c = vs.create(root, dim=dim, metric="l2")
    c.add(base[:5500], auto_index=False)
    assert c.build_index(threads=1).how == "built"
    c.add(base[5500:6500], auto_index=False)
    assert c.build_index(threads=1).how == "extended"
    assert c.info().indexes[0].recipe["ef_construction"] == 128
    assert c.build_index(threads=1).how == "none"
    with vs.create(root.parent / "large.vs", dim=dim, metric="l2") as large:
        large.add(base[:6500], auto_index=False)
        large.build_index(threads=1)
        assert large.info().indexes[0].recipe["ef_construction"] == 200
    c.add(base[6500:], auto_index=False)  # with these, many more than it was built of
    monkeypatch.setattr("vecsearch.index.growth.Growth.outgrown", lambda growth: True)
    assert c.build_index(threads=1).how == "built"
    assert c.info().indexes[0].recipe["ef_construction"] == 200
