"""item2vec: vectors of items that were bought, watched or played together.

Barkan and Koenigstein, "Item2Vec: Neural Item Embedding for Collaborative Filtering" (MLSP 2016).
Every session (a basket, a user's ratings, a playlist) is a sentence of items, on which word2vec's
skip-gram with negative sampling is trained (gensim, the extra `train`).
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.gate import gated
from vecsearch.embedders.keyed import KeyedEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.table_columns import id_column, one_item_a_row
from vecsearch.training.gensim import Progress, check_settings, skip_gram
from vecsearch.training.item_measure import Scorer, gains, hits, ranks
from vecsearch.training.item_scores import Factors, ease_factors, knn_factors, spectrum
from vecsearch.training.report import TrainingReport, method_score
from vecsearch.training.sessions import Sessions, read_sessions, time_order
from vecsearch.types import counted

if TYPE_CHECKING:
    import pyarrow as pa


DIM = 512  # of the ordinary methods in a report
SETTINGS: dict[str, Any] = {
    "dim": 64,
    "window": 20,
    "negative": 10,
    "sample": 1e-3,
    "ns_exponent": 0.5,
}
"""Where item2vec is one of several methods that are tried."""
ROWS_SEEN, EPOCHS = 1_000_000, (10, 50)  # in all epochs then, and how many these are


@gated
def train_item2vec(
    table: pa.Table,
    *,
    session: str,
    item: str,
    order: str | None = None,
    dim: int = 64,
    window: int = 20,
    epochs: int = 30,
    min_count: int = 2,
    negative: int = 10,
    sample: float = 1e-3,
    ns_exponent: float = 0.5,
    seed: int = 0,
    workers: int = 1,
    measure: bool = True,
    progress: Progress | None = None,
) -> KeyedEmbedder:
    """Train vectors of items.

    With one worker the same seed gives the same vectors.

    Args:
        table: One row for each item of a session.
        session: The column that names the session.
        item: The column that names the item, or holds lists of items, such as baskets.
        order: A column, such as a time, by which the items of a session are sorted; rows with equal
            values keep their order. None shuffles each session once.
        dim: Length of the vectors.
        window: How many neighbors on each side count as seen together.
        epochs: Passes over the sessions.
        min_count: Items that occur less often get no vector.
        negative: Negative samples for each pair.
        sample: Items more frequent than this share are downsampled; 0 keeps all.
        ns_exponent: How often popular items are negative samples: 0 for all items alike, 1 in
            proportion to their frequency.
        seed: Seed of all random choices.
        workers: Threads.
        measure: Whether to train a second time without the last item of each session, and to report
            how well it is found, beside ordinary methods.
        progress: Called with the number of finished epochs and of all epochs.

    Returns:
        An embedder whose keys are the items as strings. A query is an item, or a list of items such
        as someone's history. Save it with `.save(folder)`.

    Raises:
        InvalidInputError: A column is missing or contains a null, no session has two items, or no
            item occurs `min_count` times.
        MissingExtraError: The extra `train` is not installed.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"basket": [1, 1, 2, 2], "item": ["pen", "ink", "pen", "ink"]})
        >>> items = train_item2vec(table, session="basket", item="item", dim=4, epochs=1)
        >>> items.most_similar("pen", k=1)[0][0]
        'ink'
    """
    check_settings(
        dim=dim,
        window=window,
        epochs=epochs,
        negative=negative,
        seed=seed,
        workers=workers,
        min_count=min_count,
    )
    sessions = sessions_of(table, session, item, order, seed)
    if not any(len(items) > 1 for items in sessions):
        raise InvalidInputError(
            f"nothing to train on: no session ('{session}') has two items ('{item}')"
        )
    _, counts = np.unique(np.concatenate(sessions), return_counts=True)
    if counts.max() < min_count:
        raise InvalidInputError(
            f"nothing to train on: no item occurs {counted(min_count, 'time')} (min_count)"
        )
    settings: dict[str, Any] = {
        "dim": dim,
        "window": window,
        "epochs": epochs,
        "min_count": min_count,
        "negative": negative,
        "seed": seed,
        "workers": workers,
        "sample": sample,
        "ns_exponent": ns_exponent,
        "what_for": "Training item2vec",
    }
    keys, vectors = skip_gram([items.tolist() for items in sessions], progress=progress, **settings)
    about = {
        "trained": "item2vec",
        "sessions": len(sessions),
        "window": window,
        "epochs": epochs,
        "min_count": min_count,
        "negative": negative,
        "sample": sample,
        "ns_exponent": ns_exponent,
        "seed": seed,
    }
    trained = KeyedEmbedder(keys, vectors, "keyed:unsaved", about)
    if measure:
        found = read_sessions(table, session, item, order, min_count=1, seed=seed)
        trained.report = _report(found, settings)
    return trained


def _report(sessions: Sessions, settings: dict[str, Any]) -> TrainingReport:
    """item2vec beside ordinary methods on the last item of each session.

    All are trained without it, and weigh the items of a history alike.
    """
    counts = {
        "rows": len(sessions.items),
        "sessions": len(sessions),
        "items": len(sessions.keys),
    }
    part, cases = sessions.hold_out()
    if not len(cases):
        return TrainingReport("item2vec", counts, "", (), epochs=settings["epochs"])
    names = np.array(sessions.keys)
    sentences = [each.tolist() for each in np.split(names[part.items], part.starts[1:-1])]
    row = {key: number for number, key in enumerate(sessions.keys)}
    raw, unit = np.zeros((2, len(row), settings["dim"]))
    if max(Counter(chain.from_iterable(sentences)).values()) >= settings["min_count"]:
        keys, vectors = skip_gram(sentences, progress=None, **settings)
        rows = [row[key] for key in keys]
        raw[rows] = vectors
        unit[rows] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    matrix = part.incidence()
    popularity = np.asarray((matrix > 0).sum(axis=0), np.float64).ravel()
    methods = {
        "item2vec": Factors(raw, unit),
        "popularity": popularity,
        "item-kNN": knn_factors(matrix, 10.0, DIM, settings["seed"]),
        "EASE": ease_factors(spectrum(matrix, DIM, settings["seed"]), 200.0, DIM),
    }
    found = {name: ranks(cases, Scorer(method)) for name, method in methods.items()}
    deep = ", ".join(f"{name} {gains(each, cases).mean():.3f}" for name, each in found.items())
    which = "the last item" if sessions.ordered else "a random item"
    return TrainingReport(
        "item2vec",
        counts,
        f"hit-rate@10: {which} of {counted(len(cases), 'session')}, found among all "
        f"{len(row):,} items that are not in its history",
        tuple(
            method_score(name, hits(each, cases), seed=settings["seed"])
            for name, each in found.items()
        ),
        epochs=settings["epochs"],
        notes=(*sessions.notes, f"nDCG@10: {deep}."),
    )


def session_vectors(sessions: Sessions, seed: int) -> npt.NDArray[np.float64]:
    """Unit vectors of all items of some sessions, by item2vec with few epochs.

    Returns:
        float64 (items, dim), zero for items that no session has.

    Raises:
        MissingExtraError: The extra `train` is not installed.
    """
    names = np.array([str(number) for number in range(len(sessions.keys))])
    sentences = [part.tolist() for part in np.split(names[sessions.items], sessions.starts[1:-1])]
    keys, vectors = skip_gram(
        sentences,
        **SETTINGS,
        epochs=int(np.clip(ROWS_SEEN // max(1, len(sessions.items)), *EPOCHS)),
        min_count=1,
        seed=seed,
        workers=1,
        progress=None,
        what_for="Training item2vec",
    )
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    out = np.zeros((len(sessions.keys), vectors.shape[1]))
    out[[int(key) for key in keys]] = vectors / lengths
    return out


def sessions_of(
    table: pa.Table, session: str, item: str, order: str | None, seed: int
) -> list[npt.NDArray[np.str_]]:
    """Group a table's items by session.

    Args:
        table: One row for each item of a session.
        session: The column that names the session.
        item: The column that names the item.
        order: The column by which a session is sorted, stably; None shuffles it.
        seed: Seed of the shuffle.

    Returns:
        The items of each session as strings, sessions in the order of their names.

    Raises:
        InvalidInputError: A column is missing or contains a null.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"user": ["b", "a", "b"], "film": [1, 2, 3], "day": [2, 1, 1]})
        >>> [films.tolist() for films in sessions_of(table, "user", "film", "day", seed=0)]
        [['2'], ['3', '1']]
    """
    table = one_item_a_row(table, item)
    sessions, items = id_column(table, session), id_column(table, item)
    codes = np.unique(sessions, return_inverse=True)[1]
    if order is None:
        rows = np.random.default_rng(seed).permutation(len(codes))
    else:
        rows = np.argsort(time_order(table, order), kind="stable")
    rows = rows[np.argsort(codes[rows], kind="stable")]
    return np.split(items[rows], np.flatnonzero(np.diff(codes[rows])) + 1)
