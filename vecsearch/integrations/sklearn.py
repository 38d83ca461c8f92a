"""vecsearch inside scikit-learn: texts -> vectors, and vectors -> a graph of neighbors."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.collection import Collection, create
from vecsearch.common.optional import require
from vecsearch.embedders import resolve_embedder
from vecsearch.errors import InvalidInputError
from vecsearch.types import Metric

require("sklearn", "scikit-learn", "text", "vecsearch.integrations.sklearn")

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy.sparse import csr_matrix

METRICS = {"euclidean": Metric.L2, "cosine": Metric.COSINE}
BATCH = 1024  # queries of one call


class VecsearchEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Texts -> vectors of a model, as the first step of a pipeline.

    Args:
        embedder: The model, as in `vecsearch.create`.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> from vecsearch.integrations.sklearn import VecsearchEmbedder
        >>> topics = make_pipeline(VecsearchEmbedder("toy:64"), LogisticRegression())
        >>> texts = ["a small boat", "a large ship", "a red bus", "a fast bus"]
        >>> topics.fit(texts, ["water", "water", "road", "road"]).predict(["an old bus"]).tolist()
        ['road']
    """

    def __init__(self, embedder: Any = "all-MiniLM-L6-v2") -> None:
        self.embedder = embedder

    def fit(self, X: Iterable[str], y: Any = None) -> VecsearchEmbedder:  # noqa: N803
        """Load the model; there is nothing to learn from texts.

        Raises:
            EmbedderError: The model cannot be found or loaded.
        """
        _texts(X)
        self.model_ = resolve_embedder(self.embedder)
        self._n_features_out = int(self.model_.dim)
        return self

    def transform(self, X: Iterable[str]) -> npt.NDArray[np.float32]:  # noqa: N803
        """The vectors of texts, float32, shape (len(X), dim).

        Raises:
            InvalidInputError: A value is no text.
            EmbedderError: The model failed.
        """
        check_is_fitted(self)
        return np.asarray(self.model_.embed_documents(_texts(X)), np.float32)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.requires_fit = True
        return tags


class VecsearchTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Vectors -> the graph of their nearest neighbors, for estimators with `metric="precomputed"`.

    It is what `sklearn.neighbors.KNeighborsTransformer` is, with an index where there are many
    rows: clustering, classification and embedding of hundreds of thousands of vectors get their
    neighbors in seconds, at the recall that is asked for.

    Args:
        n_neighbors: Neighbors of each row. As in scikit-learn, `transform` of the fitted rows also
            finds each row itself, so that one more is returned in mode "distance".
        mode: "distance" or "connectivity" (ones).
        metric: "euclidean" or "cosine" (1 - cosine similarity).
        recall: The mean recall of the neighbors, above 0 and at most 1. 1.0: exact search.
        path: A folder to keep the collection in. None: one that goes with the object.

    Attributes:
        collection_: The collection of the fitted rows, whose ids are their numbers.
        n_samples_fit_: How many rows were fitted.

    Example:
        >>> import numpy as np
        >>> from sklearn.cluster import DBSCAN
        >>> from sklearn.pipeline import make_pipeline
        >>> from vecsearch.integrations.sklearn import VecsearchTransformer
        >>> points = np.array([[0, 0], [0, 1], [1, 0], [9, 9], [9, 8], [8, 9]])
        >>> neighbors = VecsearchTransformer(n_neighbors=3)
        >>> clusters = make_pipeline(neighbors, DBSCAN(2, min_samples=2, metric="precomputed"))
        >>> clusters.fit_predict(points).tolist()
        [0, 0, 0, 1, 1, 1]
    """

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        mode: str = "distance",
        metric: str = "euclidean",
        recall: float = 0.95,
        path: str | Path | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.mode = mode
        self.metric = metric
        self.recall = recall
        self.path = path

    def fit(self, X: Any, y: Any = None) -> VecsearchTransformer:  # noqa: N803
        """Store the rows, and index them if there are many.

        Raises:
            InvalidInputError: An argument is wrong.
        """
        matrix = validate_data(self, X, dtype=[np.float32, np.float64])
        if not isinstance(self.n_neighbors, Integral) or self.n_neighbors < 1:
            raise InvalidInputError(f"n_neighbors is {self.n_neighbors!r}; it must be 1 or more")
        for name, value, known in (
            ("mode", self.mode, ("distance", "connectivity")),
            ("metric", self.metric, tuple(METRICS)),
        ):
            if value not in known:
                raise InvalidInputError(f"{name} is {value!r}; it must be {' or '.join(known)}")
        self._store(np.ascontiguousarray(matrix, np.float32))
        self.n_samples_fit_: int = len(matrix)
        self._n_features_out = len(matrix)
        return self

    def _store(self, matrix: npt.NDArray[np.float32]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vecsearch-") if not self.path else None
        place = Path(self._folder.name, "rows.vs") if self._folder else Path(str(self.path))
        self.collection_: Collection = create(
            place, dim=matrix.shape[1], metric=METRICS[self.metric], recall=self.recall
        )
        self.collection_.add(matrix, progress=False)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: without a `path`, the rows themselves."""
        state: dict[str, Any] = super().__getstate__()
        if state.get("_folder") is not None:
            state = state | {"_rows": self.collection_.features(range(self.n_samples_fit_))}
            del state["_folder"], state["collection_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        rows = state.pop("_rows", None)
        super().__setstate__(state)
        if rows is not None:
            self._store(rows)

    def transform(self, X: Any) -> csr_matrix:  # noqa: N803
        """The graph from rows to fitted rows: a sparse matrix of distances, or of ones.

        Raises:
            InvalidInputError: The rows have other columns than those fitted.
        """
        from scipy.sparse import csr_matrix

        check_is_fitted(self)
        matrix = validate_data(self, X, reset=False, dtype=[np.float32, np.float64])
        extra = self.mode == "distance"
        k = min(self.n_neighbors + extra, self.n_samples_fit_)
        columns = np.empty((len(matrix), k), np.int64)
        scores = np.empty((len(matrix), k), np.float64)
        for start in range(0, len(matrix), BATCH):
            part = np.ascontiguousarray(matrix[start : start + BATCH], np.float32)
            found = self.collection_.search_batch(part, k, exact=self.recall == 1.0)
            for at, hits in enumerate(found, start):
                columns[at], scores[at] = hits.ids, hits.scores
        starts = np.arange(0, len(matrix) * k + 1, k)
        values = self._distances(scores) if extra else np.ones_like(scores)
        shape = (len(matrix), self.n_samples_fit_)
        return csr_matrix((values.ravel(), columns.ravel(), starts), shape=shape)

    def fit_transform(self, X: Any, y: Any = None) -> csr_matrix:  # noqa: N803
        """Fit, and give the graph among the fitted rows."""
        return self.fit(X).transform(X)

    def _distances(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if self.metric == "euclidean":
            return np.sqrt(np.maximum(-scores, 0.0))
        return np.clip(1.0 - scores, 0.0, 2.0)


def _texts(values: Any) -> list[str]:
    """Texts as a list. Raises InvalidInputError for anything else."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidInputError("X is one text; give a list of texts")
    texts = list(values)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInputError(
                f"row {number} of X is a {type(text).__name__}; each must be a text (str)"
            )
    return texts
