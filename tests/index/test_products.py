"""Candidates by products of matrices hold the k best of each query, in numpy and compiled, whether
threads divide the queries or the rows.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("faiss")

from vecsearch.index import products
from vecsearch.index.kernels import loader

DIM = 24


def parts(dtype: str, masked: bool, euclidean: bool = False) -> list[products.Part]:
    """Three segments of 5,000, 3 and 9,000 rows, with near-duplicates and a damaged row."""
    rng = np.random.default_rng(3)
    made: list[products.Part] = []
    start = 0
    for count in (5_000, 3, 9_000):
        vectors = rng.standard_normal((count, DIM)).astype(dtype)
        if count > 100:
            vectors[100:160] = vectors[100] + 1e-3 * rng.standard_normal((60, DIM)).astype(dtype)
            vectors[200] = np.nan
        mask = rng.random(count) < 0.7 if masked else None
        wide = vectors.astype(np.float32)
        half = np.einsum("ij,ij->i", wide, wide) * np.float32(0.5)
        made.append((vectors, start, mask, half if euclidean else None))
        start += count
    return made


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("euclidean", [False, True])
@pytest.mark.parametrize(("dtype", "masked"), [("float32", False), ("float16", True)])
def test_candidates_hold_the_best(
    dtype: str, masked: bool, euclidean: bool, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiled and loader.LOADER.load() is None:
        pytest.skip("numba is not available")
    monkeypatch.setattr(loader.LOADER, "module", loader.LOADER.module if compiled else None)
    given = parts(dtype, masked, euclidean)
    whole = np.concatenate([vectors for vectors, *_ in given]).astype(np.float64)
    kept = np.concatenate(
        [np.ones(len(vectors), bool) if mask is None else mask for vectors, _, mask, _ in given]
    )
    kept &= ~np.isnan(whole).any(axis=1)
    queries = np.random.default_rng(4).standard_normal((300, DIM)).astype(np.float32)
    queries[7] = whole[130]  # among near-duplicates
    true = queries.astype(np.float64) @ whole.T
    if euclidean:
        true -= 0.5 * (whole**2).sum(axis=1)
    true[:, ~kept] = -np.inf
    order = np.argsort(-true, axis=1, kind="stable")

    for count in (4, 60, 300):
        for k in (1, 10, 300):
            best = order[:count, :k]
            for threads in (1, 2, 3):
                errors = np.full(count, 1e-4)
                found = products.candidates(given, queries[:count], k, errors, threads)
                assert len(found) == count
                for wanted, rows in zip(best, found, strict=True):
                    assert rows is not None and len(np.unique(rows)) == len(rows)
                    assert np.isin(wanted, rows).all() and kept[rows].all()
                    assert len(rows) < threads * (k + 200)  # and few others


def test_threads_share_all_rows_once() -> None:
    given = parts("float32", True)
    for count in (1, 2, 3, 50):
        shares = products._shares(given, count)
        assert len(shares) <= count
        placed = [
            (start + offset, bool(mask[offset]))
            for share in shares
            for vectors, start, mask, _ in share
            if mask is not None
            for offset in range(len(vectors))
        ]
        masks = [mask for _, _, mask, _ in given if mask is not None]
        assert placed == list(enumerate(np.concatenate(masks).tolist()))
    assert products._shares([], 2) == [[]]


@pytest.mark.parametrize("compiled", [False, True])
def test_without_a_bound_of_the_errors_no_row_is_left_out(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged rows of infinite length: the errors are infinite, or infinity less infinity."""
    if compiled and loader.LOADER.load() is None:
        pytest.skip("numba is not available")
    monkeypatch.setattr(loader.LOADER, "module", loader.LOADER.module if compiled else None)
    rows = np.random.default_rng(5).standard_normal((3_000, DIM)).astype(np.float32)
    rows[10:20] = np.inf
    queries = np.zeros((5, DIM), np.float32)
    queries[1:] = rows[:4]
    for error in (np.inf, np.nan):
        found = products.candidates(
            [(rows, 0, None, None)], queries, 2, np.full(len(queries), error), 1
        )
        for query, listed in zip(queries, found, strict=True):
            with np.errstate(invalid="ignore"):
                sound = ~np.isnan(rows @ query)
            assert listed is not None and np.isin(np.flatnonzero(sound), listed).all()
