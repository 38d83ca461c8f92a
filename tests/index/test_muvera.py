"""Fixed-dimensional encodings against the definition, one vector at a time."""

from __future__ import annotations

import numpy as np
import pytest

from vecsearch.index.maxsim import maxsim
from vecsearch.index.muvera import Encoding, encoding_for


def by_definition(encoding: Encoding, vectors: np.ndarray, *, document: bool) -> np.ndarray:
    parts = []
    for planes, projection in zip(encoding.planes, encoding.projections, strict=True):
        above = [tuple(bool(plane @ vector > 0) for plane in planes) for vector in vectors]
        for bucket in range(2 ** len(planes)):
            bits = tuple(bool(bucket >> place & 1) for place in range(len(planes)))
            inside = [
                vector @ projection
                for vector, own in zip(vectors, above, strict=True)
                if own == bits
            ]
            if inside and document:
                parts.append(np.mean(inside, axis=0))
            elif inside or not document:
                parts.append(np.sum(inside, axis=0) if inside else np.zeros(projection.shape[1]))
            else:
                far = [sum(a != b for a, b in zip(own, bits, strict=True)) for own in above]
                parts.append(vectors[int(np.argmin(far))] @ projection)
    joined = np.concatenate(parts) / len(encoding.planes) ** 0.5
    return joined if document else joined / len(vectors)


@pytest.mark.parametrize("dim", [3, 8, 20])
def test_encodings_are_those_of_the_paper(dim: int) -> None:
    encoding, rng = encoding_for(dim), np.random.default_rng(0)
    lists = [rng.standard_normal((count, dim)).astype(np.float32) for count in (1, 5, 40, 2)]
    counts = np.array([len(each) for each in lists])
    found = encoding.documents(np.concatenate(lists), counts)
    assert found.shape == (4, encoding.dim) and found.dtype == np.float32
    for own, each in zip(found, lists, strict=True):
        np.testing.assert_allclose(own, by_definition(encoding, each, document=True), atol=1e-5)
        alone = encoding.documents(each, np.array([len(each)]))[0]
        np.testing.assert_allclose(own, alone, atol=1e-6)
        asked = encoding.query(each)
        np.testing.assert_allclose(asked, by_definition(encoding, each, document=False), atol=1e-5)
    assert encoding_for(dim) is encoding


def test_products_of_encodings_rank_like_maxsim() -> None:
    rng = np.random.default_rng(1)
    centers = rng.standard_normal((30, 24))
    lists = []
    for _ in range(300):
        each = centers[rng.integers(0, 30, 6)] + 0.3 * rng.standard_normal((6, 24))
        lists.append((each / np.linalg.norm(each, axis=1, keepdims=True)).astype(np.float32))
    encoding = encoding_for(24)
    documents = encoding.documents(np.concatenate(lists), np.full(300, 6))
    shares = []
    for query in lists[:30]:
        asked = query[:4]
        true = np.argsort(-maxsim(asked.astype(np.float64), lists[30:]))[:10]
        near = np.argsort(-(documents[30:] @ encoding.query(asked)))[:60]
        shares.append(np.isin(true, near).mean())
    assert np.mean(shares) > 0.85
