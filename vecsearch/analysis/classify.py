"""Labels for documents, learned from those that have one, measured on held-out documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.analysis.tables import Classification
from vecsearch.analysis.units import Units
from vecsearch.analysis.words import words_of
from vecsearch.common.deadline import check_time
from vecsearch.common.show import shown
from vecsearch.errors import IdNotFoundError, InvalidInputError

FOLDS = 5
NEIGHBORS = 15
Numbers = npt.NDArray[np.int64]


def labels_of(units: Units, labels: Any) -> list[Any]:
    """The label of each unit, None where it has none.

    Args:
        units: The documents.
        labels: A column, or a dict of id -> label.

    Raises:
        InvalidInputError: There is no such column, or it has no single values.
        IdNotFoundError: No document has an id of the dict.
    """
    ids = units.ids.to_pylist()
    if isinstance(labels, Mapping):
        known = set(ids)
        for which in labels:
            if which not in known:
                raise IdNotFoundError(f"labels: no document has the id {shown(which)}")
        return [labels.get(which) for which in ids]
    if not isinstance(labels, str):
        raise InvalidInputError(
            f"labels is {shown(labels)}; it must be the name of a column, or a dict of id -> label"
        )
    units.snapshot.check_columns([labels])
    kind = units.snapshot.manifest.schema.field(labels).type
    if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
        raise InvalidInputError(f"labels: column {labels!r} is {kind}, which has no single values")
    return list(units.column(labels).to_pylist())


def classify(units: Units, labels: Any, seed: int) -> Classification:
    """The table of `Collection.classify`.

    Raises:
        InvalidInputError: There are not two labels with two documents each.
    """
    listed = labels_of(units, labels)
    has_label = np.array([label is not None for label in listed], bool)
    names = sorted({label for label in listed if label is not None}, key=lambda it: (str(it), 0))
    number_of = {name: number for number, name in enumerate(names)}
    targets = np.array([number_of[label] for label in listed if label is not None], np.int64)
    counts = np.bincount(targets, minlength=len(names))
    if (counts >= 2).sum() < 2:
        raise InvalidInputError(
            f"classify needs two labels with two documents each, and finds {len(names)} "
            f"label{'' if len(names) == 1 else 's'} in {has_label.sum():,} documents"
        )
    vectors = units.vectors()
    texts = units.texts()
    heads: dict[str, tuple[Any, Callable[[], Any]]] = {
        "neighbors": (vectors, lambda: _neighbors(int(has_label.sum()))),
        "logistic": (vectors, _logistic),
    }
    if texts is not None and any(words_of(text) for text in texts):
        heads["tf-idf"] = (np.array(texts, object), _tf_idf)
    folds = _folds(targets, counts, seed)
    held_out: dict[str, npt.NDArray[np.float64]] = {}
    for name, (data, make) in heads.items():
        held_out[name] = _held_out(data[has_label], targets, folds, make, len(names))
    right = {name: found.argmax(axis=1) == targets for name, found in held_out.items()}
    accuracy = {name: float(each.mean()) for name, each in right.items()}
    accuracy["majority"] = float(counts.max() / counts.sum())
    model = max(("logistic", "neighbors"), key=accuracy.__getitem__)
    chances = np.zeros((len(units), len(names)))
    chances[has_label] = held_out[model]
    if not has_label.all():
        check_time()
        fitted = _fitted(heads[model][1], vectors[has_label], targets)
        chances[~has_label] = _chances(fitted, vectors[~has_label], len(names))
    predicted = chances.argmax(axis=1)
    values = pa.array(names)
    table = pa.table(
        {
            "id": units.ids,
            "label": values.take(pa.array(predicted)),
            "confidence": chances.max(axis=1).astype(np.float32),
        }
    )
    low, high = _wilson(int(right[model].sum()), len(targets))
    return Classification(
        table,
        model,
        accuracy,
        low,
        high,
        _macro_f1(targets, held_out[model].argmax(axis=1)),
        _confusion(values, targets, held_out[model].argmax(axis=1)),
        len(targets),
        int(folds.max()) + 1,
    )


def _folds(targets: Numbers, counts: Numbers, seed: int) -> Numbers:
    """The fold of each labeled document, with about the same share of each label in all folds."""
    from sklearn.model_selection import StratifiedKFold

    parts = int(min(FOLDS, max(2, counts[counts >= 2].min())))
    folds = np.empty(len(targets), np.int64)
    splitter = StratifiedKFold(parts, shuffle=True, random_state=seed)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels with fewer documents than folds
        for fold, (_, tested) in enumerate(splitter.split(targets[:, None], targets)):
            folds[tested] = fold
    return folds


def _held_out(
    data: Any, targets: Numbers, folds: Numbers, make: Callable[[], Any], labels: int
) -> npt.NDArray[np.float64]:
    """What models that have not seen a document think of it: (documents, labels)."""
    found = np.zeros((len(targets), labels))
    for fold in range(int(folds.max()) + 1):
        check_time()
        tested = folds == fold
        model = _fitted(make, data[~tested], targets[~tested])
        found[tested] = _chances(model, data[tested], labels)
    return found


def _fitted(make: Callable[[], Any], data: Any, targets: Numbers) -> Any:
    """A fitted model; of a single label one that always gives it."""
    from sklearn.dummy import DummyClassifier

    model = make() if len(np.unique(targets)) > 1 else DummyClassifier(strategy="prior")
    neighbors = getattr(model, "n_neighbors", None)
    if neighbors is not None:
        model.n_neighbors = min(neighbors, len(targets))
    return model.fit(data, targets)


def _chances(model: Any, data: Any, labels: int) -> npt.NDArray[np.float64]:
    chances = np.zeros((len(data), labels))
    chances[:, model.classes_] = model.predict_proba(data)
    return chances


def _neighbors(documents: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(min(NEIGHBORS, documents), weights=_nearness)


def _nearness(distances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weights of neighbors: the nearer the more; copies do not outvote all."""
    return np.asarray(1.0 / (distances + 1e-3))


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))


def _tf_idf() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(analyzer=words_of, sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000))


def _confusion(names: pa.Array, actual: Numbers, predicted: Numbers) -> pa.Table:
    """How often each label was taken for each."""
    pairs, counts = np.unique(np.stack([actual, predicted], axis=1), axis=0, return_counts=True)
    return pa.table(
        {
            "actual": names.take(pa.array(pairs[:, 0])),
            "predicted": names.take(pa.array(pairs[:, 1])),
            "count": counts,
        }
    )


def _macro_f1(actual: Numbers, predicted: Numbers) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(actual, predicted, average="macro", zero_division=0))


def _wilson(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a share."""
    share = right / count
    center = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    half /= 1 + z * z / count
    return max(0.0, float(center - half)), min(1.0, float(center + half))
