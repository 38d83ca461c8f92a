"""Choosing, measuring and training the methods of `vecsearch.training.items`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.common.arguments import check_whole
from vecsearch.common.kinds import is_number
from vecsearch.common.show import shown
from vecsearch.embedders.items import ItemEmbedder
from vecsearch.errors import InvalidInputError, MissingExtraError
from vecsearch.training.cold_items import Catalogue, cold_items
from vecsearch.training.gensim import Progress
from vecsearch.training.item_measure import DEEP, gains, hits, ranks
from vecsearch.training.item_methods import (
    EASE,
    ITEM2VEC,
    METHODS,
    SEQUENCE,
    Context,
    Method,
    popularity,
)
from vecsearch.training.item_scores import Factors
from vecsearch.training.report import TrainingReport, method_score
from vecsearch.training.sessions import Cases, Sessions, read_sessions
from vecsearch.types import counted

if TYPE_CHECKING:
    import pyarrow as pa

DIM = 1024
LARGEST_DIM = 16_384
VALIDATED = 5  # items of a session that settings are chosen on
MOST_CASES = 3000  # items that are found when settings are chosen
MOST_MEASURED = 20_000  # held-out items that are measured
SHARES = (0.5, 0.2, 0.8)  # of the sequence in a sum with EASE
SUM = f"{EASE.title} + {SEQUENCE.title}"


@dataclass(frozen=True)
class Reader:
    """How sessions are read: the arguments of `read_sessions`."""

    session: str
    item: str
    order: str | None
    rating: str | None
    min_count: int
    seed: int

    def read(self, data: pa.Table) -> Sessions:
        """The sessions of a table. Raises what `read_sessions` does."""
        check_whole("min_count", self.min_count, 1)
        check_whole("seed", self.seed, 0)
        return read_sessions(
            data,
            self.session,
            self.item,
            self.order,
            self.rating,
            min_count=self.min_count,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Choice:
    """A method, or a sum of two, with its settings.

    Attributes:
        title: What reports call it.
        parts: The methods, each with its settings.
        half_life: By how many places back in a history a weight halves.
        share: Of the second method in a sum.
        scales: What each part's matrix is multiplied with, so that they are comparable.
        value: The measure on the items that settings are chosen on.
    """

    title: str
    parts: tuple[tuple[Method, dict[str, Any]], ...]
    half_life: float | None
    share: float = 0.0
    scale: float = 1.0
    value: float = 0.0

    def factors(self, sessions: Sessions, context: Context) -> Factors:
        """The factors of the method, fitted on sessions."""
        first, *others = [method.factor(sessions, each, context) for method, each in self.parts]
        for other in others:
            return _sum(first, other, self.share, self.scale)
        return first

    @property
    def settings(self) -> dict[str, Any]:
        """What was chosen, for people and for the saved model."""
        found: dict[str, Any] = {"half_life": self.half_life}
        for method, settings in self.parts:
            found |= {
                name if len(self.parts) == 1 else f"{method.name}_{name}": value
                for name, value in settings.items()
                if name != "half_life"
            }
        return found if len(self.parts) == 1 else {**found, "share": self.share}


def fixed_settings(**settings: float | None) -> dict[str, float]:
    """The settings that were given, checked.

    Raises:
        InvalidInputError: One is no number in its range.
    """
    largest = {"backward": 1.0, "popularity": 1.0}
    above = {"penalty", "half_life"}
    found: dict[str, float] = {}
    for name, value in settings.items():
        if value is None:
            continue
        if name == "window":
            found[name] = check_whole(name, value, 1)
            continue
        most = largest.get(name, 1e12)
        if not is_number(value) or not 0 <= value <= most or (name in above and value == 0):
            low = "above 0" if name in above else "0 or more"
            high = f" and at most {most:g}" if name in largest else ""
            raise InvalidInputError(f"{name} is {shown(value)}; it must be a number {low}{high}")
        found[name] = float(value)
    return found


def train_methods(
    kind: str,
    methods: Sequence[Method],
    fixed: dict[str, float],
    data: pa.Table,
    reader: Reader,
    catalogue: Catalogue,
    dim: int,
    seed: int,
    progress: Progress | None,
) -> ItemEmbedder:
    """Choose among methods and settings, measure, and train on everything.

    Args:
        kind: What `vecsearch.train` calls it.
        methods: The methods to choose among.
        fixed: Settings that are given.
        data: The table of sessions.
        reader: How it is read.
        catalogue: The items' texts.
        dim: The most dimensions of the vectors.
        seed: Seed of all random choices.
        progress: Called with the number of finished steps and of all steps.
    """
    if check_whole("dim", dim, 1) > LARGEST_DIM:
        raise InvalidInputError(f"dim is {dim:,}; it must be {LARGEST_DIM:,} or less")
    sessions = reader.read(data)
    texts, columns = catalogue.read(reader.item)
    tried, notes = _possible(kind, methods, sessions)
    context = Context(dim, seed)
    steps = _Steps(progress, 2 * len(METHODS) + 3)
    chosen, choices = _chosen(tried, fixed, sessions, context, steps)
    report = _report(kind, chosen, choices, sessions, context, notes, steps)
    factors = chosen.factors(sessions, context)
    steps.done()
    cold = None
    if texts:
        cold, told = cold_items(
            texts, sessions.keys, factors.documents, factors.queries, catalogue.embedder
        )
        known = len(set(texts) & set(sessions.keys))
        report = _noted(
            report,
            f"Texts of {known:,} items tell {told:.0%} of the variance of the vectors of items "
            f"left out; {len(texts) - known:,} items of the catalogue are in no session and get "
            "their vectors from their texts.",
        )
    if not factors.exact:
        report = _noted(
            report,
            f"The vectors hold the {factors.documents.shape[1]:,} dimensions that carry most of "
            "the method's matrix; dim= keeps more.",
        )
    about = {
        "trained": kind,
        "method": chosen.title,
        **chosen.settings,
        "sessions": len(sessions),
        "dim": dim,
        "min_count": reader.min_count,
        "seed": seed,
    }
    model = ItemEmbedder(
        sessions.keys,
        factors.documents,
        factors.queries,
        half_life=chosen.half_life,
        cold=cold,
        text_columns=columns,
        about=about,
    )
    model.report = report
    steps.done(last=True)
    return model


class _Steps:
    """Reports finished steps."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._finished = progress, total, 0

    def done(self, *, last: bool = False) -> None:
        self._finished = self._total if last else min(self._finished + 1, self._total - 1)
        if self._progress is not None:
            self._progress(self._finished, self._total)


def _possible(
    kind: str, methods: Sequence[Method], sessions: Sessions
) -> tuple[list[Method], list[str]]:
    """The methods that can be tried, and why others are not."""
    found, notes = [], list(sessions.notes)
    for method in methods:
        if method.needs_order and not sessions.ordered:
            notes.append(f"{method.title} was not tried: it needs the order of sessions (order=).")
        elif method is ITEM2VEC and find_spec("gensim") is None:
            notes.append(f"{method.title} was not tried: gensim (the extra 'train') is missing.")
        else:
            found.append(method)
    if not found:
        raise InvalidInputError(
            " ".join(notes), hint="give order=, or other kinds=", command_hint="give --order"
        )
    return found, notes


def _chosen(
    methods: Sequence[Method],
    fixed: dict[str, float],
    sessions: Sessions,
    context: Context,
    steps: _Steps,
) -> tuple[Choice, list[Choice]]:
    """The best choice on items before the last one, and the best of each method."""
    left, _ = sessions.hold_out(1)
    part, cases = left.hold_out(VALIDATED)
    cases = cases.some(MOST_CASES, context.seed)
    tuner = _Tuner(part, cases, context, sessions.ordered)
    choices = []
    for method in methods:
        choices.append(tuner.best(method, fixed))
        steps.done()
    names = {choice.parts[0][0].name: choice for choice in choices}
    everything = list(choices)
    if EASE.name in names and SEQUENCE.name in names and len(cases):
        everything.append(tuner.best_sum(names[EASE.name], names[SEQUENCE.name]))
    steps.done()
    return max(everything, key=lambda choice: choice.value), choices


@dataclass
class _Tuner:
    """Tries settings one after the other."""

    part: Sessions
    cases: Cases
    context: Context
    ordered: bool

    def best(self, method: Method, fixed: dict[str, float]) -> Choice:
        """The best settings of a method, each of them chosen in turn."""
        settings = method.settings(fixed)
        if not self.ordered and "half_life" not in fixed:
            settings["half_life"] = None
        if not len(self.cases):
            return self._choice(method, settings, 0.0)
        fitted = method.fit(self.part, settings, self.context)
        value = self._value(fitted, settings["half_life"])
        for name, values in method.grid.items():
            if name in fixed or (name == "half_life" and not self.ordered):
                continue
            for other in values[1:]:
                trial = {**settings, name: other}
                again = fitted
                if name != "half_life":
                    again = method.fit(self.part, trial, self.context)
                found = self._value(again, trial["half_life"])
                if found > value:
                    value, best, fitted_best = found, trial, again
                    settings_next = best
                    fitted_next = fitted_best
                else:
                    continue
                settings, fitted = settings_next, fitted_next
        return self._choice(method, settings, value)

    def best_sum(self, one: Choice, other: Choice) -> Choice:
        """The best weighted sum of two methods, brought to one scale."""
        parts = (one.parts[0], other.parts[0])
        first, second = (method.factor(self.part, each, self.context) for method, each in parts)
        scale = _size(first) / max(_size(second), np.finfo(np.float64).tiny)
        best = None
        for half_life in dict.fromkeys((one.half_life, other.half_life)):
            for share in SHARES:
                value = self._value(_sum(first, second, share, scale), half_life)
                if best is None or value > best.value:
                    best = Choice(SUM, parts, half_life, share, scale, value)
        assert best is not None
        return best

    def _value(self, fitted: Any, half_life: float | None) -> float:
        return float(gains(ranks(self.cases, fitted, half_life), self.cases, DEEP).mean())

    def _choice(self, method: Method, settings: dict[str, Any], value: float) -> Choice:
        return Choice(method.title, ((method, settings),), settings["half_life"], value=value)


def _sum(first: Factors, second: Factors, share: float, scale: float) -> Factors:
    scaled = Factors(second.queries * scale, second.documents, second.exact)
    return first.beside(scaled, share)


def _size(factors: Factors) -> float:
    """The Frobenius norm of Q D^T, from its small Gram matrices."""
    grams = (factors.queries.T @ factors.queries) * (factors.documents.T @ factors.documents)
    return float(np.sqrt(max(grams.sum(), 0.0)))


def _report(
    kind: str,
    chosen: Choice,
    choices: Sequence[Choice],
    sessions: Sessions,
    context: Context,
    notes: list[str],
    steps: _Steps,
) -> TrainingReport:
    """What was chosen beside the ordinary methods, on the last item of each session."""
    trained_on = {
        "rows": len(sessions.items),
        "sessions": len(sessions),
        "items": len(sessions.keys),
    }
    part, cases = sessions.hold_out(1)
    cases = cases.some(MOST_MEASURED, context.seed)
    if not len(cases):
        notes.append("Nothing could be held out: no session ends with an item that is new in it.")
        return TrainingReport(kind, trained_on, "", (), notes=tuple(notes))
    which = "last" if sessions.ordered else "a random"
    measure = (
        f"hit-rate@10: the {which} item" if sessions.ordered else f"hit-rate@10: {which} item"
    )
    measure += (
        f" of {counted(len(cases), 'session')}, found among all {len(sessions.keys):,} items that "
        "are not in its history"
    )
    name = chosen.title if chosen.title == _title(kind) else f"{kind}: {chosen.title}"
    measured = [(name, ranks(cases, chosen.factors(part, context), chosen.half_life))]
    steps.done()
    measured.append(("popularity", ranks(cases, popularity(part), None)))
    baselines = {choice.title: choice for choice in choices}
    for method in METHODS.values():
        choice = baselines.get(method.title)
        if choice is not None and choice is not chosen:
            model = method.factor(part, choice.parts[0][1], context)
            measured.append((method.title, ranks(cases, model, choice.half_life)))
            steps.done()
    deep = ", ".join(f"{each} {gains(found, cases).mean():.3f}" for each, found in measured)
    notes.append(f"nDCG@10: {deep}.")
    shown_settings = ", ".join(f"{name} {value}" for name, value in chosen.settings.items())
    notes.append(
        f"Chosen on the items before those: {shown_settings}. The model was then trained on "
        "all sessions."
    )
    scores = tuple(
        method_score(each, hits(found, cases), seed=context.seed) for each, found in measured
    )
    return TrainingReport(kind, trained_on, measure, scores, notes=tuple(notes))


def _title(kind: str) -> str:
    return METHODS[kind].title if kind in METHODS else kind


def _noted(report: TrainingReport, note: str) -> TrainingReport:
    from dataclasses import replace

    return replace(report, notes=(*report.notes, note))
