"""Choosing, measuring and training the methods of `vecsearch.training.items`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.common.arguments import check_whole, check_within
from vecsearch.embedders.items import ItemEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.training.cold_items import Catalogue, cold_items
from vecsearch.training.gensim import Progress
from vecsearch.training.item_measure import DEEP, Scorer, gains, hits, ranks, ranks_of_sums
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

DIM = 512
LARGEST_DIM = 16_384
VALIDATED = 5  # items of a session that settings are chosen on
MOST_CASES = 2000  # items that are found when settings are chosen
MOST_MEASURED = 20_000  # held-out items that are measured
LARGEST_SETTING = 1e12
SHARES = (0.3, 0.1, 0.2, 0.45, 0.65)  # of the sequence in a sum with EASE
SUM_POPULARITY = (0.3,)  # settings of the sequence that are tried there too


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
    """A method with its settings, or a weighted sum of several.

    Attributes:
        parts: The methods: each with its settings and the factor of its scores.
        value: The measure on the items that settings are chosen on.
    """

    parts: tuple[tuple[Method, dict[str, Any], float], ...]
    value: float = 0.0

    @property
    def title(self) -> str:
        """What reports call it."""
        return " + ".join(method.title for method, _, _ in self.parts)

    @property
    def settings(self) -> dict[str, Any]:
        """What was chosen, for people and for the saved model."""
        found: dict[str, Any] = {}
        for method, settings, factor in self.parts:
            listed = settings if len(self.parts) == 1 else {**settings, "factor": factor}
            prefix = "" if len(self.parts) == 1 else f"{method.name} "
            found |= {f"{prefix}{name}": value for name, value in listed.items()}
        return found

    def scorers(self, sessions: Sessions, context: Context, *, factors: bool) -> list[Scorer]:
        """What scores, fitted on sessions: as factors, or as it is measured fastest."""
        return [
            Scorer(
                (method.factor if factors else method.fit)(sessions, settings, context),
                settings["half_life"],
                factor,
            )
            for method, settings, factor in self.parts
        ]


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
        least = 1e-9 if name in above else 0.0
        check_within(name, value, least, largest.get(name, LARGEST_SETTING))
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
    fitted = [
        (method.factor(sessions, settings, context), settings["half_life"], factor)
        for method, settings, factor in chosen.parts
    ]
    documents = np.hstack([each.documents for each, _, _ in fitted])
    queries = np.hstack([each.queries * factor for each, _, factor in fitted])
    half_lives = [np.full(each.documents.shape[1], half or np.inf) for each, half, _ in fitted]
    steps.done()
    cold = None
    if texts:
        cold, told = cold_items(texts, sessions.keys, documents, queries, catalogue.embedder)
        known = len(set(texts) & set(sessions.keys))
        report = _noted(
            report,
            f"Texts of {known:,} items tell {told:.0%} of the variance of the vectors of items "
            f"left out. In no session, and so embedded by its text: "
            f"{counted(len(texts) - known, 'item')} of the catalogue.",
        )
    if not all(each.exact for each, _, _ in fitted):
        report = _noted(
            report,
            f"The vectors hold the {documents.shape[1]:,} dimensions that carry most; a larger dim "
            "keeps more.",
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
        documents,
        queries,
        half_life=np.concatenate(half_lives),
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
    left, _ = sessions.hold_out()
    part, cases = left.hold_out_some(VALIDATED)
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
            return Choice(((method, settings, 1.0),))
        fitted = method.fit(self.part, settings, self.context)
        value = self._value(Scorer(fitted, settings["half_life"]))
        for name, values in method.grid.items():
            if name in fixed or (name == "half_life" and not self.ordered):
                continue
            best = settings, fitted
            for other in values[1:]:
                trial = {**settings, name: other}
                again = fitted
                if name != "half_life":
                    again = method.fit(self.part, trial, self.context)
                found = self._value(Scorer(again, trial["half_life"]))
                if found > value:
                    value, best = found, (trial, again)
            settings, fitted = best
        return Choice(((method, settings, 1.0),), value)

    def best_sum(self, one: Choice, other: Choice) -> Choice:
        """The best weighted sum of EASE and the sequence, brought to one scale.

        Beside EASE the sequence may look at less of a history than alone, and favor popular items
        less: both are tried too.
        """
        method, settings, _ = other.parts[0]
        options = [
            {**settings, "half_life": half_life, "popularity": popularity}
            for popularity in dict.fromkeys((settings["popularity"], *SUM_POPULARITY))
            for half_life in _shorter(settings["half_life"])
        ]
        fitted: dict[float, Any] = {}
        scorers = one.scorers(self.part, self.context, factors=False)
        size, factors = _size(scorers[0].method), []
        for option in options:
            popularity = option["popularity"]
            if popularity not in fitted:
                fitted[popularity] = method.fit(self.part, option, self.context)
            scorers.append(Scorer(fitted[popularity], option["half_life"]))
            factors.append(size / max(_size(fitted[popularity]), 1e-30))
        sums = np.zeros((len(SHARES) * len(options), len(scorers)))
        for row in range(len(sums)):
            share, at = SHARES[row // len(options)], row % len(options)
            sums[row, 0], sums[row, at + 1] = 1.0 - share, share * factors[at]
        found = ranks_of_sums(self.cases, scorers, sums)
        values = [float(gains(each, self.cases, DEEP).mean()) for each in found]
        best = int(np.argmax(values))
        at = best % len(options)
        parts = (
            (*one.parts[0][:2], float(sums[best, 0])),
            (method, options[at], float(sums[best, at + 1])),
        )
        return Choice(parts, values[best])

    def _value(self, *scorers: Scorer) -> float:
        return float(gains(ranks(self.cases, *scorers), self.cases, DEEP).mean())


def _shorter(half_life: float | None) -> tuple[float | None, ...]:
    """A half-life, and half of it."""
    return (None,) if half_life is None else (half_life, half_life / 2)


def _size(fitted: Any) -> float:
    """The Frobenius norm of a matrix, sparse or given by its factors."""
    if not isinstance(fitted, Factors):
        return float(np.sqrt((fitted.data**2).sum()))
    factors = fitted
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
    part, cases = sessions.hold_out()
    cases = cases.some(MOST_MEASURED, context.seed)
    if not len(cases):
        notes.append("Nothing could be held out: no session ends with an item that is new in it.")
        return TrainingReport(kind, trained_on, "", (), notes=tuple(notes))
    which = "last" if sessions.ordered else "a random"
    measure = f"hit-rate@10: the {which} item" if sessions.ordered else f"hit-rate@10: {which} item"
    measure += (
        f" of {counted(len(cases), 'session')}, found among all {len(sessions.keys):,} items that "
        "are not in its history"
    )
    name = chosen.title if chosen.title == _title(kind) else f"{kind}: {chosen.title}"
    measured = [(name, ranks(cases, *chosen.scorers(part, context, factors=True)))]
    steps.done()
    measured.append(("popularity", ranks(cases, Scorer(popularity(part)))))
    baselines = {choice.title: choice for choice in choices}
    for method in METHODS.values():
        choice = baselines.get(method.title)
        if choice is not None and choice is not chosen:
            scorers = choice.scorers(part, context, factors=False)
            measured.append((method.title, ranks(cases, *scorers)))
            steps.done()
    if gains(measured[0][1], cases).mean() < gains(measured[1][1], cases).mean():
        notes.append(
            "Popularity alone does better here: the histories say too little, or are too few."
        )
    deep = ", ".join(f"{each} {gains(found, cases).mean():.3f}" for each, found in measured)
    notes.append(f"nDCG@10: {deep}.")
    shown_settings = ", ".join(f"{name} {_short(value)}" for name, value in chosen.settings.items())
    notes.append(
        f"Chosen on the items before those: {shown_settings}. The model was then trained on "
        "all sessions."
    )
    scores = tuple(
        method_score(each, hits(found, cases), seed=context.seed) for each, found in measured
    )
    return TrainingReport(kind, trained_on, measure, scores, notes=tuple(notes))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _title(kind: str) -> str:
    return METHODS[kind].title if kind in METHODS else kind


def _noted(report: TrainingReport, note: str) -> TrainingReport:
    return replace(report, notes=(*report.notes, note))
