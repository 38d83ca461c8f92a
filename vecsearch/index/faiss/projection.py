"""Maps vectors to what FAISS stores.

Signed bytes make the graph fast: vectors are projected on their principal components, and one scale
for all components maps them to -127..127, which FAISS compares with integer arithmetic. That takes
a third of the time of its 8-bit codes with a scale for each component, and a common scale preserves
the order of distances.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.common.lazy import lazy
from vecsearch.common.pca import principal_axes
from vecsearch.index.kernels.arguments import EUCLIDEAN
from vecsearch.index.kernels.contrast import SMALLEST
from vecsearch.index.kernels.query_codes import encode_queries, rounding_error
from vecsearch.index.recipe import REDUCED_STEP, IndexRecipe

BYTE = np.float32(127)  # codes run from -127 to 127
RANGE_SHARE = 0.9999  # share of the training components inside the byte range; the rest is clipped
RADIUS_MARGIN = 1.05  # vectors up to this multiple of the longest training distance are covered,
MOMENT_ROWS = 20_000  # of the training sample, for means and variances
ERROR_MARGIN = 1.25  # and those up to this multiple of the coding error
ERROR_SHARE = 0.999  # that this share of the training sample stays below; with cosine, all of it:
# no unit vector lies far out, and rows outside the index are scored in every search


@dataclass(frozen=True)
class Projection:
    """Maps vectors to what FAISS stores, and knows which vectors it was fitted to.

    Args:
        inner_product: Whether FAISS compares by inner product.
        matrix: float32 (components, dim), scaled so that a component is a code; None if vectors are
            stored as they are.
        offset: float32 (components,), added after the matrix product.
        center: float32 (dim,), mean of the training sample; zeros for inner product.
        scale: Codes per unit of length; 0 if codes are floats.
        max_radius: Longest distance from the center that is covered.
        max_error: Longest distance between a vector and what its code stands for that is covered.
        mean: float32 (dim,), mean of the training sample; None in indexes of older versions.
        variances: float32 (components,), variance of the sample along each axis; for inner product
            its mean square.
        rest: Mean variance along the other axes.
        own_mean, own_variance: Of the squared distance of rows from the mean.
    """

    inner_product: bool
    matrix: Vectors | None
    offset: Vectors
    center: Vectors
    scale: float
    max_radius: float
    max_error: float
    mean: Vectors | None = None
    variances: Vectors | None = None
    rest: float = 0.0
    own_mean: float = 0.0
    own_variance: float = 0.0

    @property
    def dim_out(self) -> int:
        return len(self.center) if self.matrix is None else len(self.matrix)

    def raw(self, vectors: Vectors) -> Vectors:
        """Projected vectors, neither rounded nor clipped: float32 (rows, components)."""
        if self.matrix is None:
            return vectors
        if len(vectors) == 1:  # the same product, with less overhead in numpy
            out: Vectors = self.matrix.dot(vectors[0])[None]
        else:
            out = vectors @ self.matrix.T
        out += self.offset
        return out

    def rows(self, vectors: Vectors) -> Vectors:
        """What FAISS stores, as float32 (rows, components)."""
        return _to_bytes(self.raw(vectors)) if self.scale else self.raw(vectors)

    def queries(self, vectors: Vectors) -> Vectors:
        """Queries as FAISS takes them: float32 (rows, components).

        Scaling a query does not change its ranking by inner product, so it fills the byte range.
        """
        if not self.scale or self.matrix is None:
            return self.raw(vectors)
        if not self.inner_product:
            return encode_queries(vectors, self.matrix, self.offset, *self.precision)
        # One by one: the sums of a batch are rounded in another way, and a code may differ.
        out = np.concatenate([self.raw(vector[None]) for vector in vectors] or [self.raw(vectors)])
        out *= BYTE / np.maximum(np.abs(out).max(axis=1, keepdims=True), np.float32(1e-30))
        return _to_bytes(out)

    @lazy
    def precision(self) -> tuple[float, float]:
        """Rounding error of a projected query for each unit of length, and the length of the
        center.
        """
        assert self.matrix is not None
        return rounding_error(self.matrix), float(np.linalg.norm(self.center))

    def zero_codes(self, metric: int) -> npt.NDArray[np.float64]:
        """The components, as they are stored, from which those of a query are counted.

        Those of zero, or for `EUCLIDEAN` of the mean: float64 (components,).
        """
        return self._zero_codes[metric == EUCLIDEAN]

    @lazy
    def _zero_codes(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        assert self.mean is not None
        both = np.zeros_like(self.mean), self.mean
        of_zero, of_mean = (self.raw(zero[None])[0] for zero in both)
        return of_zero.astype(np.float64), of_mean.astype(np.float64)

    @lazy
    def _wide_moments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        assert self.mean is not None and self.variances is not None
        return self.mean.astype(np.float64), self.variances.astype(np.float64)

    def scores_at_large(
        self, queries: Vectors, metric: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Mean and standard deviation of the scores of queries with all rows; see `contrast.py`.

        Args:
            queries: float32 (nq, dim).
            metric: INNER_PRODUCT, COSINE or EUCLIDEAN.

        Returns:
            float64 (nq,), twice.
        """
        wide, (mean, own_variances) = queries.astype(np.float64), self._wide_moments
        from_mean = np.square(wide - mean).sum(axis=1)
        squares = from_mean if metric == EUCLIDEAN else np.square(wide).sum(axis=1)
        coded = self.scale and not self.inner_product
        stored = self.queries(queries) if coded else self.raw(queries)
        parts = np.square((stored - self.zero_codes(metric)) / (self.scale or 1.0))
        others = self.rest * np.maximum(squares - parts.sum(axis=1), 0)
        variances = parts @ own_variances + others
        means = -(from_mean + self.own_mean) if metric == EUCLIDEAN else wide @ mean
        if metric == EUCLIDEAN:
            variances = 4 * variances + self.own_variance
        if self.inner_product:  # its axes are those of the vectors themselves, not of the rest
            variances = variances - np.square(means)
        return means, np.sqrt(np.maximum(variances, SMALLEST))

    def covers(self, vectors: Vectors) -> npt.NDArray[np.bool_]:
        """Which vectors are like those the projection was fitted to: bool (rows,)."""
        radius, error = _radius_and_error(self, vectors)
        # The rounding margin makes a sample of one row, or of equal rows, cover itself.
        return np.asarray(
            (radius <= self.max_radius * 1.000001 + 1e-6)
            & (error <= self.max_error * 1.000001 + 1e-6)
        )


def _to_bytes(values: Vectors) -> Vectors:
    np.rint(values, out=values)
    np.maximum(values, -BYTE, out=values)
    np.minimum(values, BYTE, out=values)
    return values


def _radius_and_error(projection: Projection, vectors: Vectors) -> tuple[Vectors, Vectors]:
    """Distance of each vector from the center, and from what its code stands for.

    The latter is 0 if codes are floats.
    """
    squared = np.square(vectors - projection.center).sum(axis=1)
    if not projection.scale:
        return np.sqrt(squared), np.zeros(len(vectors), np.float32)
    raw = projection.raw(vectors)
    clipped = np.square(raw - _to_bytes(raw.copy())).sum(axis=1) / projection.scale**2
    outside = np.maximum(squared - np.square(raw).sum(axis=1) / projection.scale**2, 0)
    return np.sqrt(squared), np.sqrt(outside + clipped)


def fit_projection(sample: Vectors, recipe: IndexRecipe, metric: str) -> Projection:
    """Fit a projection to a sample.

    Args:
        sample: float32 (rows, dim), at least one row.
        recipe: Says whether components are reduced, and whether they are stored as bytes.
        metric: "cosine", "ip" or "l2".
    """
    inner_product, dim = metric == "ip", sample.shape[1]
    in_bytes = recipe.kind == "hnsw" and recipe.code == "sq8"
    keep = min(dim, recipe.reduced or dim)
    empty = np.zeros(0, np.float32)
    if not in_bytes and keep == dim:
        center = (
            np.zeros(dim, np.float32)
            if inner_product
            else sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        )
        bare = Projection(inner_product, None, empty, center, 0.0, 0.0, 0.0)
        return _with_bounds(bare, sample, metric)
    mean, _, axes = principal_axes(sample, centered=not inner_product)
    center, rows = mean.astype(np.float32), axes[:keep]
    scale = 0.0
    if in_bytes:
        largest = float(
            np.quantile(np.abs((sample - center) @ rows.T.astype(np.float32)), RANGE_SHARE)
        )
        scale = float(BYTE) / (largest or 1.0)
        padding = -len(rows) % REDUCED_STEP  # FAISS's fast kernels take whole blocks
        rows = np.concatenate([rows * scale, np.zeros((padding, dim))])
    matrix = np.ascontiguousarray(rows, np.float32)
    fitted = Projection(inner_product, matrix, -(matrix @ center), center, scale, 0.0, 0.0)
    return _with_bounds(fitted, sample, metric)


def _with_bounds(projection: Projection, sample: Vectors, metric: str) -> Projection:
    radius, error = _radius_and_error(projection, sample)
    rows = sample[:MOMENT_ROWS].astype(np.float64)
    mean = rows.mean(axis=0)
    squares = np.square(rows - mean).sum(axis=1)
    kept = projection.raw(sample[:MOMENT_ROWS]).astype(np.float64) / (projection.scale or 1.0)
    variances = kept.var(axis=0)
    if projection.inner_product:
        squares, variances = np.square(rows).sum(axis=1), np.square(kept).mean(axis=0)
    others = max(sample.shape[1] - np.count_nonzero(variances), 1)
    share = 1.0 if metric == "cosine" else ERROR_SHARE
    return replace(
        projection,
        mean=mean.astype(np.float32),
        variances=variances.astype(np.float32),
        rest=max(float(squares.mean() - variances.sum()), 0.0) / others,
        own_mean=float(squares.mean()),
        own_variance=float(squares.var()),
        max_radius=float(radius.max()) * RADIUS_MARGIN,
        max_error=float(np.quantile(error, share)) * ERROR_MARGIN,
    )
