"""Scores of a version's rows: the best of many candidates, and bounds of rounding errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.index.faiss import LOADER
from vecsearch.index.scorer import VectorScorer
from vecsearch.types import Metric

ROWS, DIM = 400, 24


def scorer_of(path: Path, metric: str) -> tuple[VectorScorer, np.ndarray]:
    vectors = np.random.default_rng(1).normal(size=(ROWS, DIM)).astype(np.float32)
    if metric == "cosine":
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    c = vs.create(path, dim=DIM, metric=metric)
    for part in np.array_split(vectors, 2):
        c.add(part)
    return VectorScorer(c._snapshot), vectors


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("metric", list(Metric))
def test_the_best_of_many_candidates_are_those_of_float64(
    tmp_path: Path, metric: Metric, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, vectors = scorer_of(tmp_path / "c", str(metric))
    monkeypatch.setattr(LOADER, "module", LOADER.load() if compiled else None)
    rows = np.random.default_rng(2).permutation(ROWS)[:300]
    for query in vectors[:5]:
        wide = vectors[rows].astype(np.float64)
        right = wide @ query.astype(np.float64)
        if metric is Metric.L2:
            right = -((wide - query) ** 2).sum(axis=1)
        for k in (1, 7, 40):
            scores, found = scorer.best_final(query, rows, k)
            assert found.tolist() == rows[np.argsort(-right)[:k]].tolist()
            np.testing.assert_allclose(scores, np.sort(right)[::-1][:k], rtol=1e-6, atol=1e-6)
        nothing = scorer.final_one(query, rows[:0], 5)
        assert [len(part) for part in nothing] == [0, 0]


@pytest.mark.parametrize("metric", list(Metric))
def test_a_float32_score_lies_within_the_stated_error_which_is_small(
    tmp_path: Path, metric: Metric
) -> None:
    scorer, vectors = scorer_of(tmp_path / "c", str(metric))
    rows = np.arange(ROWS)
    for query in vectors[:5]:
        final = scorer.final_scores(query[None], rows[None])[0]
        errors = np.array([scorer.rounding_error(query, score) for score in final.tolist()])
        assert (np.abs(scorer.score(query, rows) - final) <= errors).all()
        length = float(np.linalg.norm(vectors, axis=1).max()) * float(np.linalg.norm(query))
        assert errors.max() < 1e-5 * max(1.0, length, np.abs(final).max())
