"""Principal axes against a singular value decomposition of the rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from vecsearch.common.pca import BLOCK_ROWS, principal_axes

Floats = npt.NDArray[np.float64]


def rows_of(count: int, dim: int) -> Floats:
    """Normal rows, far from the origin, with another deviation along each rotated axis."""
    rng = np.random.default_rng(7)
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    return np.asarray((rng.standard_normal((count, dim)) * 0.8 ** np.arange(dim)) @ turn + 5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [100, BLOCK_ROWS, 2 * BLOCK_ROWS + 1])
@pytest.mark.parametrize("centered", [True, False])
def test_the_axes_are_those_of_a_singular_value_decomposition(
    centered: bool, count: int, dtype: type
) -> None:
    rows = rows_of(count, 12).astype(dtype)
    center, squares, axes = principal_axes(rows, centered=centered)
    exact = rows.astype(np.float64)
    np.testing.assert_allclose(center, exact.mean(axis=0) if centered else np.zeros(12), rtol=1e-12)
    _, singular, expected = np.linalg.svd(exact - center, full_matrices=False)
    expected *= np.sign(expected[np.arange(12), np.abs(expected).argmax(axis=1)])[:, None]
    np.testing.assert_allclose(squares, singular**2, rtol=1e-9)
    np.testing.assert_allclose(axes, expected, atol=1e-9)


def test_with_fewer_rows_than_dimensions_the_axes_are_still_a_whole_basis() -> None:
    _, squares, axes = principal_axes(rows_of(4, 10), centered=True)
    assert (squares[:3] > 1e-3).all() and (squares[3:] >= 0).all() and (squares[3:] < 1e-9).all()
    np.testing.assert_allclose(axes @ axes.T, np.eye(10), atol=1e-12)
    assert (
        axes[np.arange(10), np.abs(axes).argmax(axis=1)] > 0
    ).all()  # the sign that makes an axis one and not its mirror


def test_rows_all_alike_have_a_center_and_nothing_along_any_axis() -> None:
    center, squares, axes = principal_axes(np.full((3, 4), 2, np.float32), centered=True)
    assert center.tolist() == [2] * 4 and not squares.any()
    np.testing.assert_allclose(axes @ axes.T, np.eye(4), atol=1e-12)
