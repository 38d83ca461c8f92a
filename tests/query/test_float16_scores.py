"""Cosines of float16 collections are those of the stored vectors, whose lengths are not quite 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import vecsearch as vs


def cosines(
    stored: npt.NDArray[np.float16], query: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """By numpy, in float64."""
    rows, wanted = stored.astype(np.float64), query.astype(np.float64)
    return rows @ wanted / np.linalg.norm(rows, axis=1) / np.linalg.norm(wanted)


@pytest.mark.parametrize("spread", [1.0, 0.02, 0.001])
def test_scores_and_order_are_numpys_over_the_stored_vectors(root: Path, spread: float) -> None:
    rng = np.random.default_rng(7)
    center = rng.normal(size=12)
    given = (center + spread * rng.normal(size=(3000, 12))).astype(np.float32)
    with vs.create(root, dim=12, dtype="float16") as c:
        c.add(given)
        stored = c._snapshot.segments[0].vectors
        assert stored.dtype == np.float16
        lengths = np.linalg.norm(stored.astype(np.float64), axis=1)
        assert np.abs(lengths - 1).max() > 1e-5  # or else the test would show nothing
        for query in (center + spread * rng.normal(size=(5, 12))).astype(np.float32):
            expected = cosines(stored, query)
            best = np.lexsort((np.arange(3000), -expected))
            for hits in (
                c.search(query, 20),
                c.search(query, 20, where="id >= 0"),
                c.search_batch(query[None], 20)[0],
            ):
                np.testing.assert_allclose(hits.scores, expected[best[:20]], atol=1e-6)
                np.testing.assert_allclose(expected[hits.ids], expected[best[:20]], atol=1e-9)
            nearby = c.search_range(query, float(expected[best[30]]) - 1e-7)
            np.testing.assert_allclose(nearby.scores[:30], expected[best[:30]], atol=1e-6)
        itself = c.search(given[3], 3)
        assert itself.scores.max() <= 1
