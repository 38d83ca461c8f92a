"""What the tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import vecsearch as vs

DATA = Path(os.environ.get("VECSEARCH_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, which is not part of the project."""
    if not DATA.is_dir():
        pytest.skip("the shared data sets are not here (set VECSEARCH_DATA to their folder)")
    return DATA


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "c.vs"


@pytest.fixture
def texts(root: Path) -> Iterator[vs.Collection]:
    """A small collection of texts in two languages."""
    with vs.create(root, embedder="toy:64") as collection:
        collection.add(
            [
                {"id": 1, "text": "plants make food from light", "lang": "en", "year": 1999},
                {"id": 2, "text": "植物利用光合作用制造养分", "lang": "zh", "year": 2005},
                {"id": 3, "text": "cats chase mice at night", "lang": "en", "year": 2010},
                {"id": 4, "text": "猫在夜里抓老鼠", "lang": "zh", "year": None},
            ]
        )
        yield collection


def clustered(rows: int, dim: int, seed: int = 0, clusters: int = 40) -> npt.NDArray[np.float32]:
    """Vectors in clusters of unequal spread, of unequal length: float32 (rows, dim)."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((clusters, dim))
    spread = rng.uniform(0.2, 0.8, clusters)
    owner = rng.integers(clusters, size=rows)
    vectors = centres[owner] + spread[owner, None] * rng.standard_normal((rows, dim))
    return (vectors * rng.uniform(0.5, 2, (rows, 1))).astype(np.float32)


def brute_force(vectors: npt.NDArray[np.float32], query: npt.NDArray[np.float32], metric: str) -> npt.NDArray[np.float64]:
    """True scores by plain float64 numpy, the oracle of the search tests."""
    v, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "l2":
        return -((v - q) ** 2).sum(axis=1)
    if metric == "cosine":
        return (v @ q) / (np.linalg.norm(v, axis=1) * np.linalg.norm(q))
    return v @ q


@pytest.fixture
def small_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make scoring rows look dear to the planner, so that small data takes the index as large data would."""
    from vecsearch import build as building

    original = building.row_micros
    monkeypatch.setattr(building, "row_micros", lambda dim: 50 * original(dim))
