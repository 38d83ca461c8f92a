"""Vectors of single cells from the counts of their genes, measured by labels of neighbors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.common.arguments import check_seed, check_whole
from vecsearch.common.arrays import Vectors
from vecsearch.common.gate import gated
from vecsearch.common.pca import principal_axes
from vecsearch.embedders.cells import CellEmbedder, normalized
from vecsearch.embedders.projection import TRAIN_ROWS, Projection
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.table_columns import require_column
from vecsearch.ingest.vector_column import vector_matrix, vector_width
from vecsearch.training.gensim import Progress
from vecsearch.training.report import MethodScore, TrainingReport, method_score
from vecsearch.types import VECTOR, counted

if TYPE_CHECKING:
    import pyarrow as pa

NEIGHBORS = 10
HELD_OUT = 5  # one cell in so many


@gated
def train_cells(
    table: pa.Table,
    *,
    dim: int = 50,
    genes: int = 2000,
    normalize: bool = True,
    label: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> CellEmbedder:
    """Train vectors of cells: logarithms of normalized counts, on principal components.

    With `label` the report says how often the label of a held-out cell is that of most of its 10
    nearest cells: by these vectors, by principal components of the numbers as they are given, and
    by the most frequent label.

    Args:
        table: A column `vector` of counts, with a number for each gene, as from
            `cells.h5ad::layers/counts`.
        dim: Length of the vectors.
        genes: How many genes are used: those whose values vary the most.
        normalize: Whether the numbers are counts. False: they are normalized already.
        label: A column of labels, such as the type of the cell, to measure by.
        seed: Seed of the choice of held-out cells.
        progress: Called with the number of finished steps and of all steps.

    Returns:
        The model. A collection that is made with it is given vectors of genes, and stores and
        compares the short ones: `create("cells.vs", embedder=model, metric="l2")`.

    Raises:
        InvalidInputError: There is no such column, a number is negative, or there are not 2 cells.

    Example:
        >>> import numpy as np, pyarrow as pa
        >>> counts = np.random.default_rng(0).poisson(1.0, (50, 30)).tolist()
        >>> model = train_cells(pa.table({"vector": counts}), dim=5)
        >>> model.dim, model.full_dim
        (5, 30)
    """
    dim, genes = check_whole("dim", dim, 1), check_whole("genes", genes, 1)
    random = np.random.default_rng(check_seed(seed))
    column = require_column(table, VECTOR).combine_chunks()
    width = vector_width(column) or (len(column[0]) if len(column) else 0)
    counts = np.asarray(vector_matrix(column, width, 0), np.float32)
    if len(counts) < 2:
        raise InvalidInputError(f"{counted(len(counts), 'cell')} to train on; give 2 or more")
    dim = min(dim, width, genes)
    report = None
    if label is not None:
        labels = np.array(require_column(table, label).to_pylist(), object)
        known = np.array([value is not None for value in labels], bool)
        report = _report(counts[known], labels[known].astype(str), dim, genes, normalize, random)
    if progress is not None:
        progress(1, 2)
    model = CellEmbedder(_fitted(counts, dim, genes, normalize, random), normalize)
    model.report = report
    if progress is not None:
        progress(2, 2)
    return model


def _fitted(
    counts: Vectors, dim: int, genes: int, normalize: bool, random: np.random.Generator
) -> Projection:
    """The principal components of the genes that vary the most."""
    if len(counts) > TRAIN_ROWS:
        counts = counts[np.sort(random.choice(len(counts), TRAIN_ROWS, replace=False))]
    values = normalized(counts) if normalize else counts
    spread = values.var(axis=0, dtype=np.float64)
    kept = np.sort(np.argsort(-spread, kind="stable")[:genes])
    center, _, axes = principal_axes(values[:, kept], centered=True)
    matrix = np.zeros((dim, counts.shape[1]), np.float32)
    matrix[:, kept] = axes[:dim]
    middle = np.zeros(counts.shape[1], np.float32)
    middle[kept] = center
    return Projection(matrix, middle)


def _report(
    counts: Vectors,
    labels: Any,
    dim: int,
    genes: int,
    normalize: bool,
    random: np.random.Generator,
) -> TrainingReport:
    """How well labels are transferred to cells that were held out."""
    if len(counts) < 2 * HELD_OUT:
        raise InvalidInputError(
            f"{counted(len(counts), 'cell')} with a label; {2 * HELD_OUT} are needed to measure"
        )
    order = random.permutation(len(counts))
    asked, known = order[: len(order) // HELD_OUT], order[len(order) // HELD_OUT :]
    ours = CellEmbedder(_fitted(counts[known], dim, genes, normalize, random), normalize)
    plain = _fitted(counts[known], dim, counts.shape[1], False, random)
    names, frequent = np.unique(labels[known], return_counts=True)
    scores: list[MethodScore] = []
    for method, vectors in (
        ("cells", ours.project(counts)),
        ("principal components", plain.apply(counts)),
    ):
        found = _transferred(vectors[known], labels[known], vectors[asked])
        scores.append(method_score(method, found == labels[asked]))
    scores.append(method_score("most frequent label", names[frequent.argmax()] == labels[asked]))
    return TrainingReport(
        kind="cells",
        trained_on={"cells": len(counts), "genes": counts.shape[1], "labels": len(names)},
        measure=f"accuracy of the label by {NEIGHBORS} nearest cells, of "
        f"{counted(len(asked), 'held-out cell')}",
        scores=tuple(scores),
    )


def _transferred(known: Vectors, labels: Any, asked: Vectors) -> Any:
    """The label that most of the nearest cells have."""
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(NEIGHBORS, len(known)))
    return model.fit(known, labels).predict(asked)
