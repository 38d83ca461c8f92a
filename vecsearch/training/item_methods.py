"""The methods of `vecsearch.training.items`: their settings, and what fits them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vecsearch.training.item_scores import (
    Factors,
    ease_factors,
    knn_factors,
    sequence_matrix,
    spectrum,
    svd_factors,
)
from vecsearch.training.sessions import Floats, Sessions

Settings = Mapping[str, Any]
HALF_LIVES = (5.0, None, 1.0, 2.0, 3.0, 10.0, 30.0)  # places back in a history


@dataclass(frozen=True)
class Context:
    """What fitting needs beside sessions and settings.

    Attributes:
        dim: Dimensions to keep.
        seed: Seed of all random choices.
        spectra: Spectra that were computed before, by the sessions' identity.
    """

    dim: int
    seed: int
    spectra: dict[int, Any] = field(default_factory=dict)

    def spectrum(self, sessions: Sessions) -> Any:
        """The spectrum of the sessions' incidence matrix, computed once."""
        if id(sessions) not in self.spectra:
            found = spectrum(sessions.incidence(), self.dim, self.seed)
            self.spectra[id(sessions)] = (sessions, found)  # keeps the sessions, and their id
        return self.spectra[id(sessions)][1]


@dataclass(frozen=True)
class Method:
    """One way to recommend.

    Attributes:
        name: The kind, as `vecsearch.train` takes it.
        title: What reports call it.
        grid: Setting -> values that are tried, the default first.
        fit: Sessions, settings and context -> what is measured.
        factor: The same, as factors.
        needs_order: Whether sessions must be in the order of time.
    """

    name: str
    title: str
    grid: Mapping[str, tuple[Any, ...]]
    fit: Callable[[Sessions, Settings, Context], Any]
    factor: Callable[[Sessions, Settings, Context], Factors]
    needs_order: bool = False

    def settings(self, fixed: Settings) -> dict[str, Any]:
        """The settings to begin with: those given, else the defaults."""
        return {name: fixed.get(name, values[0]) for name, values in self.grid.items()}


def popularity(sessions: Sessions) -> Floats:
    """In how many sessions each item is: float64 (items,)."""
    counts = (sessions.incidence() > 0).sum(axis=0)
    return np.asarray(counts, np.float64).ravel()


def _ease(sessions: Sessions, settings: Settings, context: Context) -> Factors:
    return ease_factors(context.spectrum(sessions), settings["penalty"], context.dim)


def _knn(sessions: Sessions, settings: Settings, context: Context) -> Factors:
    return knn_factors(sessions.incidence(), settings["shrinkage"], context.dim, context.seed)


def _sequence(sessions: Sessions, settings: Settings, context: Context) -> Any:
    return sequence_matrix(
        sessions, settings["window"], settings["backward"], settings["popularity"]
    )


def _sequence_factors(sessions: Sessions, settings: Settings, context: Context) -> Factors:
    return svd_factors(_sequence(sessions, settings, context), context.dim, context.seed)


def _item2vec(sessions: Sessions, settings: Settings, context: Context) -> Factors:
    from vecsearch.training.item2vec import session_vectors

    vectors = session_vectors(sessions, seed=context.seed)
    return Factors(vectors, vectors)


EASE = Method(
    "ease", "EASE", {"half_life": HALF_LIVES, "penalty": (200.0, 50.0, 1000.0)}, _ease, _ease
)
KNN = Method(
    "item-knn", "item-kNN", {"half_life": HALF_LIVES, "shrinkage": (10.0, 0.0, 50.0)}, _knn, _knn
)
SEQUENCE = Method(
    "sequence",
    "sequence co-occurrence",
    {
        "half_life": (2.0, None, 1.0, 3.0, 5.0, 10.0, 30.0),
        "window": (10, 3, 20),
        "backward": (0.5, 0.0, 1.0),
        "popularity": (0.0, 0.3, 0.5),
    },
    _sequence,
    _sequence_factors,
    needs_order=True,
)
ITEM2VEC = Method("item2vec", "item2vec", {"half_life": HALF_LIVES}, _item2vec, _item2vec)
METHODS = {method.name: method for method in (KNN, EASE, SEQUENCE, ITEM2VEC)}
