"""item2vec: vectors of items from what was bought, watched or played together (Barkan and Koenigstein, MLSP 2016).

Every session (a basket, a user's ratings, a playlist) is a sentence of items, and word2vec's skip-gram with negative
sampling learns them (gensim, the extra `train`). A query is an item, or a list of items: someone's history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vecsearch.embedders.keyed import KeyedEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.training.gensim import Progress, skip_gram

if TYPE_CHECKING:
    import pyarrow as pa


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
    progress: Progress | None = None,
) -> KeyedEmbedder:
    """An embedder of items; keys are the items as strings. Save it with `.save(folder)`.

    table: one row for each item of a session. order: a column, such as a time, by which a session is sorted; None shuffles
    each session once. window: neighbours on each side that count as together. ns_exponent: how much popular items serve as
    negatives (0 not more than others, 1 in proportion). The same seed gives the same vectors with one worker.
    Raises InvalidInputError for a missing column, a null, or when no item comes `min_count` times.
    """
    sessions = sessions_of(table, session, item, order, seed)
    if not any(len(one) > 1 for one in sessions):
        raise InvalidInputError(
            f"nothing to train on: no session ('{session}') has two items ('{item}')"
        )
    _, counts = np.unique(np.concatenate(sessions), return_counts=True)
    if counts.max() < min_count:
        raise InvalidInputError(f"nothing to train on: no item comes {min_count} times (min_count)")
    keys, vectors = skip_gram(
        [one.tolist() for one in sessions],
        dim=dim,
        window=window,
        epochs=epochs,
        min_count=min_count,
        negative=negative,
        seed=seed,
        workers=workers,
        progress=progress,
        sample=sample,
        ns_exponent=ns_exponent,
        what_for="Training item2vec",
    )
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
    return KeyedEmbedder(keys, vectors, "keyed:unsaved", about)


def sessions_of(
    table: pa.Table, session: str, item: str, order: str | None, seed: int
) -> list[npt.NDArray[np.str_]]:
    """The items of each session as strings, in the order of the `order` column, or shuffled."""
    columns = {name: string_column(table, name) for name in (session, item)}
    codes = np.unique(columns[session], return_inverse=True)[1]
    if order is None:
        rows = np.random.default_rng(seed).permutation(len(codes))
    else:
        if order not in table.column_names:
            raise InvalidInputError(
                f"no column '{order}'; there are {', '.join(table.column_names)}"
            )
        rows = np.argsort(table[order].to_numpy(), kind="stable")
    rows = rows[np.argsort(codes[rows], kind="stable")]
    return np.split(columns[item][rows], np.flatnonzero(np.diff(codes[rows])) + 1)


def string_column(table: pa.Table, name: str) -> npt.NDArray[np.str_]:
    """A column of ids as strings. Raises InvalidInputError when it is not there or holds a null."""
    import pyarrow as pa

    if name not in table.column_names:
        raise InvalidInputError(f"no column '{name}'; there are {', '.join(table.column_names)}")
    column: Any = table[name]
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise InvalidInputError(f"column '{name}', row {row}: null")
    return np.asarray(column.cast(pa.large_string()).to_pylist(), dtype=np.str_)
