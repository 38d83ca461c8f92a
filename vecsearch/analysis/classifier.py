"""Models that were fitted to labeled documents, and what they say of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.analysis.newcomers import Newcomers
from vecsearch.analysis.tables import Predictions
from vecsearch.common.deadline import check_time
from vecsearch.errors import InvalidInputError

Numbers = npt.NDArray[np.int64]
Chances = npt.NDArray[np.float64]
WORDS = "tf-idf"  # the model that sees texts; all others see vectors


@dataclass(frozen=True)
class Head:
    """A kind of model.

    Attributes:
        data: What it sees of each document.
        make: Makes one that is to be fitted.
    """

    data: Any
    make: Callable[[], Any]

    def held_out(self, rows: Numbers, targets: Numbers, folds: Numbers, labels: int) -> Chances:
        """What models that have not seen a document think of it: (documents, labels)."""
        found = np.zeros((len(targets), labels))
        for fold in range(int(folds.max()) + 1):
            tested = folds == fold
            model = self.fitted(rows[~tested], targets[~tested])
            found[tested] = _chances(model, self.data[rows[tested]], labels)
        return found

    def fitted(self, rows: Numbers, targets: Numbers) -> Any:
        """A model fitted to some documents; of a single label one that always gives it."""
        from sklearn.dummy import DummyClassifier

        check_time()
        several = len(np.unique(targets)) > 1
        model = self.make() if several else DummyClassifier(strategy="prior")
        neighbors = getattr(model, "n_neighbors", None)
        if neighbors is not None:
            model.n_neighbors = min(neighbors, len(targets))
        return model.fit(self.data[rows], targets)


class Classifier:
    """The chosen model of a collection's labels, fitted to all documents that have one.

    It is fitted when it is first needed.

    Args:
        heads: The kinds of models whose mean counts, by name.
        rows: The documents with a label.
        targets: The number of the label of each.
        names: The labels.
        newcomers: What makes vectors of documents that come later; None for none.
    """

    def __init__(
        self,
        heads: Mapping[str, Head],
        rows: Numbers,
        targets: Numbers,
        names: pa.Array,
        newcomers: Newcomers | None,
    ) -> None:
        self._heads = heads
        self._rows, self._targets, self.names = rows, targets, names
        self._newcomers = newcomers
        self._models: dict[str, Any] = {}

    def chances(self, data: Mapping[str, Any]) -> Chances:
        """How likely each label is, of documents as each kind of model sees them."""
        found = []
        for name, head in self._heads.items():
            if name not in self._models:
                self._models[name] = head.fitted(self._rows, self._targets)
            found.append(_chances(self._models[name], data[name], len(self.names)))
        return np.asarray(np.mean(found, axis=0))

    def predict(self, documents: Any) -> Predictions:
        """The table of `Classification.predict`."""
        if self._newcomers is None:
            raise InvalidInputError(
                "this report came without what embeds new documents",
                hint="ask collection.classify(...) for a report of its own",
            )
        listed = self._newcomers.listed(documents)
        texts = [each if isinstance(each, str) else None for each in listed]
        if WORDS in self._heads and None in texts:
            raise InvalidInputError(
                f"document {texts.index(None)} is no text, and the model "
                f"{'+'.join(self._heads)!r} reads texts",
                hint='classify(labels, model="logistic") makes one that needs vectors only',
                command_hint="--model logistic makes one that needs vectors only",
            )
        data = {
            name: np.array(texts, object) if name == WORDS else self._newcomers.vectors(listed)
            for name in self._heads
        }
        chances = self.chances(data) if len(listed) else np.zeros((0, len(self.names)))
        columns: dict[str, Any] = {}
        if listed and None not in texts:
            columns["text"] = pa.array(texts, pa.string())
        best = chances.argmax(axis=1) if len(listed) else np.empty(0, np.int64)
        columns["label"] = self.names.take(pa.array(best))
        columns["confidence"] = chances.max(axis=1, initial=0.0).astype(np.float32)
        return Predictions(
            pa.table(columns), "+".join(self._heads), chances, tuple(self.names.to_pylist())
        )


def _chances(model: Any, data: Any, labels: int) -> Chances:
    chances = np.zeros((len(data), labels))
    chances[:, model.classes_] = model.predict_proba(data)
    return chances
