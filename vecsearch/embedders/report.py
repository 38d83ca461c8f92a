"""What training reports: how well a model did on the held-out part, beside ordinary methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from vecsearch.display import WIDTH, html_table, text_fields, text_table, wrapped
from vecsearch.types import counted


@dataclass(frozen=True, slots=True)
class MethodScore:
    """The mean of a measure for one method.

    Attributes:
        method: What was measured: the trained model, or an ordinary method of its field.
        value: The mean over the held-out part; higher is better.
        low: Lower end of its 95% bootstrap interval.
        high: Upper end of that interval.

    Example:
        >>> import vecsearch as vs
        >>> vs.MethodScore("tf-idf", 0.84, 0.77, 0.91).value
        0.84
    """

    method: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """How well a trained model did on data that it was not trained on; `str()` gives a table.

    It is stored with the model, as `report.json`.

    Attributes:
        kind: The kind of model, as `vecsearch.train` takes it.
        trained_on: What it was trained on: name -> count, such as "documents" -> 1200.
        measure: What was measured, and on what: a phrase. Higher is better.
        scores: The trained model first, then ordinary methods on the same held-out part.
        epochs: Passes over the data after which the model was taken; None where there are none.
        stopped: Why training ended there: a phrase, "" if there is nothing to say.
        notes: Sentences on what was left out and how to read the scores.

    Example:
        >>> import vecsearch as vs
        >>> own = vs.MethodScore("word2vec", 0.81, 0.79, 0.83)
        >>> scores = (own, vs.MethodScore("chance", 0.5, 0.5, 0.5))
        >>> print(vs.TrainingReport("word2vec", {"documents": 900}, "share of words told", scores))
        kind        word2vec
        trained on  900 documents
        measure     share of words told
        <BLANKLINE>
        method    value  95% interval
        word2vec  0.810  0.790 to 0.830
        chance    0.500  0.500 to 0.500
    """

    kind: str
    trained_on: Mapping[str, int]
    measure: str
    scores: tuple[MethodScore, ...]
    epochs: int | None = None
    stopped: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def better(self) -> tuple[MethodScore, ...]:
        """The ordinary methods whose mean is above the trained model's."""
        return tuple(each for each in self.scores if each.value > self.scores[0].value)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            **asdict(self),
            "trained_on": dict(self.trained_on),
            "scores": [asdict(each) for each in self.scores],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingReport:
        """The report whose `to_dict` gave these values."""
        scores = tuple(MethodScore(**each) for each in values["scores"])
        return cls(**{**values, "scores": scores, "notes": tuple(values["notes"])})

    def __str__(self) -> str:
        head, rows = self._table()
        parts = [text_fields(self._fields())]
        if rows:
            parts += ["", text_table(head, rows, [1])]
        for sentence in self._sentences():
            parts += ["", *wrapped(sentence, WIDTH)]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        head, rows = self._table()
        caption = " · ".join(f"{name}: {value}" for name, value in self._fields().items() if value)
        return html_table(head, rows, [1], " ".join([caption, *self._sentences()]))

    def _fields(self) -> dict[str, object]:
        """What stands above the table."""
        counts = ", ".join(
            counted(count, f"{name[:-3]}y" if name.endswith("ies") else name[:-1], name)
            for name, count in self.trained_on.items()
        )
        return {
            "kind": self.kind,
            "trained on": counts,
            "measure": self.measure or None,
            "epochs": self.epochs,
            "stopped": self.stopped or None,
        }

    def _table(self) -> tuple[list[str], list[list[str]]]:
        rows = [
            [each.method, f"{each.value:.3f}", f"{each.low:.3f} to {each.high:.3f}"]
            for each in self.scores
        ]
        return ["method", "value", "95% interval"], rows

    def _sentences(self) -> list[str]:
        """What stands below the table."""
        *names, last = [each.method for each in self.better] or [""]
        listed = f"{', '.join(names)} and {last}" if names else last
        verb = "scores" if len(self.better) == 1 else "score"
        better = f"On the held-out part {listed} {verb} higher than the trained model."
        return [*([better] if listed else []), *self.notes]
