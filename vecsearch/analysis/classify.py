"""Labels for documents, learned from those that have one, measured on held-out documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.analysis.classifier import Classifier, Head
from vecsearch.analysis.newcomers import Newcomers
from vecsearch.analysis.tables import Classification
from vecsearch.analysis.units import Units
from vecsearch.analysis.words import terms_of
from vecsearch.common.show import shown
from vecsearch.errors import IdNotFoundError, InvalidInputError

FOLDS = 5
NEIGHBORS = 15
BOTH = "logistic+tf-idf"
MODELS = ("neighbors", "logistic", "tf-idf", BOTH)
_PREFERRED = frozenset(MODELS)
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


def classify(
    units: Units,
    labels: Any,
    seed: int,
    model: str | None = None,
    neighbors: int = NEIGHBORS,
    newcomers: Newcomers | None = None,
) -> Classification:
    """The table of `Collection.classify`.

    Args:
        units: The documents.
        labels: A column, or a dict of id -> label.
        seed: For the choice of held-out documents.
        model: The only model; None takes the best.
        neighbors: How many neighbors vote.
        newcomers: What makes vectors of documents that come later, for `Classification.predict`.

    Raises:
        InvalidInputError: There are not two labels with two documents each, or the model needs
            texts where there are none.
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
    heads = _heads(units, model, neighbors)
    learned, asked = np.flatnonzero(has_label), np.flatnonzero(~has_label)
    folds = _folds(targets, counts, seed)
    held_out = {name: head.held_out(learned, targets, folds, len(names)) for name, head in heads}
    if model in (BOTH, None) and {"logistic", "tf-idf"} <= held_out.keys():
        held_out[BOTH] = _mean(held_out["logistic"], held_out["tf-idf"])
    right = {name: found.argmax(axis=1) == targets for name, found in held_out.items()}
    best = model or max(_PREFERRED & held_out.keys(), key=lambda name: _rank(right[name], name))
    # Of each fold, the model that the other folds choose: the measure owes nothing to the choice.
    chosen = np.zeros((len(targets), len(names)))
    for fold in range(int(folds.max()) + 1):
        others = {name: each[folds != fold] for name, each in right.items()}
        name = model or max(_PREFERRED & others.keys(), key=lambda it: _rank(others[it], it))
        chosen[folds == fold] = held_out[name][folds == fold]
    chances = np.zeros((len(units), len(names)))
    chances[learned] = chosen
    of = dict(heads)
    parts = {name: of[name] for name in (("logistic", "tf-idf") if best == BOTH else (best,))}
    values = pa.array(names)
    classifier = Classifier(parts, learned, targets, values, newcomers)
    if len(asked):
        chances[asked] = classifier.chances(
            {name: head.data[asked] for name, head in parts.items()}
        )
    predicted = chances.argmax(axis=1)
    given = np.full(len(units), -1)
    given[learned] = targets
    table = pa.table(
        {
            "id": units.ids,
            "label": values.take(pa.array(predicted)),
            "confidence": chances.max(axis=1).astype(np.float32),
            "given": values.take(pa.array(given, mask=given < 0)),
        }
    )
    accuracy = {name: float(each.mean()) for name, each in right.items()}
    accuracy["majority"] = float(counts.max() / counts.sum())
    answers = chosen.argmax(axis=1)
    low, high = _wilson(int((answers == targets).sum()), len(targets))
    return Classification(
        table,
        best,
        accuracy,
        float((answers == targets).mean()),
        low,
        high,
        _macro_f1(targets, answers),
        _confusion(values, targets, answers),
        len(targets),
        int(folds.max()) + 1,
        classifier,
    )


def _heads(units: Units, model: str | None, neighbors: int) -> list[tuple[str, Head]]:
    """The models that are tried; all that can be, unless one is asked for."""
    needed = MODELS[:3] if model is None else MODELS[1:3] if model == BOTH else (model,)
    found: list[tuple[str, Head]] = []
    if {"neighbors", "logistic"} & {*needed}:
        vectors = units.vectors()
        makers: dict[str, Callable[[], Any]] = {
            "neighbors": partial(_neighbors, neighbors),
            "logistic": _logistic,
        }
        found += [(name, Head(vectors, makers[name])) for name in makers if name in needed]
    if "tf-idf" in needed:
        texts = units.texts()
        if texts is not None and any(map(terms_of, texts)):
            found.append(("tf-idf", Head(np.array(texts, object), _tf_idf)))
        elif model is not None:
            raise InvalidInputError(f"the model {model!r} needs texts, and the documents have none")
    return found


def _rank(right: npt.NDArray[np.bool_], name: str) -> tuple[float, int]:
    """What orders models: how often they are right, then how much they know."""
    return float(right.mean()), MODELS.index(name)


def _mean(*chances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.mean(chances, axis=0))


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


def _neighbors(count: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(count, weights=_nearness)


def _nearness(distances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weights of neighbors: the nearer the more; copies do not outvote all."""
    return np.asarray(1.0 / (distances + 1e-3))


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=1000))


def _tf_idf() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(analyzer=terms_of, sublinear_tf=True)
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
