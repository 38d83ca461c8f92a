"""MaxSim against a loop in float64."""

from __future__ import annotations

import numpy as np
import pytest

from vecsearch.index import maxsim as module
from vecsearch.index.maxsim import maxsim


def loop(query: np.ndarray, document: np.ndarray) -> float:
    total = 0.0
    for token in query.astype(np.float64):
        total += max(float(token @ other) for other in document.astype(np.float64))
    return total


@pytest.mark.parametrize("together", [1, 7, 1 << 14])
def test_maxsim_is_the_sum_over_query_tokens_of_the_greatest_product(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOKENS", together)
    rng = np.random.default_rng(0)
    query = rng.standard_normal((5, 12)).astype(np.float32)
    documents = [rng.standard_normal((n, 12)).astype(np.float32) for n in (3, 1, 9, 4, 2, 6)]
    expected = [loop(query, document) for document in documents]
    np.testing.assert_allclose(maxsim(query, documents), expected, rtol=1e-5)


def test_texts_without_tokens() -> None:
    empty, full = np.empty((0, 4), np.float32), np.ones((2, 4), np.float32)
    assert maxsim(full, [empty, full, empty]).tolist() == [-np.inf, 8.0, -np.inf]
    assert maxsim(empty, [full, full]).tolist() == [0.0, 0.0]
    assert maxsim(full, []).tolist() == []
