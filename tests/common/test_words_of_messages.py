"""Numbers and their nouns, and what FAISS says, in messages."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

import vecsearch as vs
from vecsearch.common.faiss_errors import faiss_reason, is_faiss_error


@pytest.mark.parametrize(("count", "words"), [(1, "1 row "), (2, "2 rows ")])
def test_a_plan_counts_its_rows(tmp_path: Path, count: int, words: str) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2, metric="l2")
    c.add(np.eye(2, dtype=np.float32)[:count])
    assert str(c.plan([0, 1])).startswith(f"exact search over {words}")
    assert f"exact search over {words.strip()}\n" in repr(c.search([0, 1]))


@pytest.mark.parametrize(("dim", "words"), [(1, "1 number "), (2, "2 numbers ")])
def test_an_error_counts_the_numbers_of_a_vector(tmp_path: Path, dim: int, words: str) -> None:
    c = vs.create(tmp_path / "c.vs", dim=3, metric="l2")
    with pytest.raises(vs.InvalidInputError, match=f"row 0, column 'vector': {words}"):
        c.add([{"id": 1, "vector": [1.0] * dim}])


def test_errors_of_faiss_are_told_without_its_source() -> None:
    index = faiss.IndexFlatL2(2)
    with pytest.raises(RuntimeError) as missing:
        faiss.read_index("/no/such/file.faiss")
    with pytest.raises(RuntimeError) as wrong:
        index.reconstruct(7)
    for caught in (missing.value, wrong.value):
        assert is_faiss_error(caught) and "Error" not in faiss_reason(caught)
        assert ".cpp" not in faiss_reason(caught) and faiss_reason(caught) in str(caught)
    assert "/no/such/file.faiss" in faiss_reason(missing.value)
    assert faiss_reason(RuntimeError("plain")) == "plain"
    assert faiss_reason(RuntimeError()) == "RuntimeError"
