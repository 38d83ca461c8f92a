"""Models that recommend items to a history, each beside the other ordinary methods.

`train_items` tries all of them and keeps the best; `train_item_knn`, `train_ease` and
`train_sequence` train one. Settings are chosen on a part of each session, the last items but one;
what is reported is measured on the last item of each session, which nothing was chosen on. The
model is then trained on everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vecsearch.common.gate import gated
from vecsearch.common.show import shown
from vecsearch.embedders.items import ItemEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.training.cold_items import Catalogue
from vecsearch.training.gensim import Progress
from vecsearch.training.item_methods import EASE, KNN, METHODS, SEQUENCE
from vecsearch.training.item_training import DIM, Reader, fixed_settings, train_methods

if TYPE_CHECKING:
    import pyarrow as pa

    from vecsearch.embedders.base import Embedder


@gated
def train_items(
    data: pa.Table,
    *,
    session: str,
    item: str,
    order: str | None = None,
    rating: str | None = None,
    items: Any = None,
    text_columns: Sequence[str] | None = None,
    text_embedder: str | Embedder | None = None,
    kinds: Sequence[str] | None = None,
    dim: int = DIM,
    min_count: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> ItemEmbedder:
    """Try the ordinary methods of recommendation on your sessions, and keep the best.

    These are item-kNN, EASE, co-occurrence in the sequence, the sum of the last two, and item2vec.

    Args:
        data: One row for each item of a session.
        session: The column that names the session: a user, a basket, a playlist.
        item: The column that names the item, or holds lists of items, such as baskets.
        order: The column of times, by which sessions are sorted. None: baskets, without an order.
        rating: A column of numbers, 0 or more, by which rows count; the largest counts 1.
        items: The catalogue, of anything that `add` takes: a column `id` or one named as `item`,
            and columns of texts. Items that no session has then get vectors from their texts.
        text_columns: The columns of the catalogue with texts. None: all that hold texts.
        text_embedder: A model for these texts, or its name. None: words, weighted by tf-idf.
        kinds: Which methods to try, of "item-knn", "ease", "sequence" and "item2vec". None: all
            that can be tried: "sequence" needs `order`, item2vec the extra `train`.
        dim: The most dimensions of the vectors. More keep more of a method where there are many
            items.
        min_count: Items that occur less often get no vector from sessions.
        seed: Seed of all random choices.
        progress: Called with the number of finished steps and of all steps.

    Returns:
        The model. `create(path, embedder=model)` makes a collection of items, found by their ids,
        whose `recommend(history=[...])` ranks as the method does. `model.report` compares the
        methods.

    Raises:
        InvalidInputError: A column is missing, has a null, or holds what does not fit; no session
            has two items; or an option is wrong.

    Example:
        >>> import pyarrow as pa
        >>> basket = [n // 3 for n in range(60)]
        >>> item = [f"{'ab'[n % 2]}{(n + k) % 4}" for n in range(20) for k in range(3)]
        >>> model = train_items(pa.table({"basket": basket, "item": item}),
        ...                     session="basket", item="item", kinds=["item-knn", "ease"])
        >>> model.most_similar("a1", k=1)[0][0][0]
        'a'
    """
    names = list(METHODS) if kinds is None else list(kinds)
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names:
        what = shown(unknown[0]) if unknown else "empty"
        raise InvalidInputError(f"kinds is {what}; the methods are {', '.join(METHODS)}")
    reader = Reader(session, item, order, rating, min_count, seed)
    catalogue = Catalogue(items, text_columns, text_embedder)
    methods = [METHODS[name] for name in names]
    return train_methods("items", methods, {}, data, reader, catalogue, dim, seed, progress)


@gated
def train_item_knn(
    data: pa.Table,
    *,
    session: str,
    item: str,
    order: str | None = None,
    rating: str | None = None,
    items: Any = None,
    text_columns: Sequence[str] | None = None,
    text_embedder: str | Embedder | None = None,
    shrinkage: float | None = None,
    half_life: float | None = None,
    dim: int = DIM,
    min_count: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> ItemEmbedder:
    """Train item-kNN: the cosine of two items over sessions, shrunk for rare items.

    M[i, j] = c[i, j] / sqrt((c[i, i] + shrinkage) (c[j, j] + shrinkage)), where c counts the
    sessions that have both (Sarwar et al., WWW 2001). All items are neighbors.

    Args:
        data: As in `train_items`.
        session: As in `train_items`.
        item: As in `train_items`.
        order: As in `train_items`.
        rating: As in `train_items`.
        items: As in `train_items`.
        text_columns: As in `train_items`.
        text_embedder: As in `train_items`.
        shrinkage: 0 or more. None: chosen on held-out items.
        half_life: By how many places back in a history a weight halves. None: chosen on held-out
            items.
        dim: As in `train_items`.
        min_count: As in `train_items`.
        seed: As in `train_items`.
        progress: As in `train_items`.

    Returns:
        The model, as `train_items` returns it.

    Raises:
        InvalidInputError: As in `train_items`.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"basket": [1, 1, 2, 2], "item": ["pen", "ink", "pen", "ink"]})
        >>> train_item_knn(table, session="basket", item="item", shrinkage=0).most_similar("pen")
        [('ink', 1.0)]
    """
    fixed = fixed_settings(shrinkage=shrinkage, half_life=half_life)
    reader = Reader(session, item, order, rating, min_count, seed)
    catalogue = Catalogue(items, text_columns, text_embedder)
    return train_methods("item-knn", [KNN], fixed, data, reader, catalogue, dim, seed, progress)


@gated
def train_ease(
    data: pa.Table,
    *,
    session: str,
    item: str,
    order: str | None = None,
    rating: str | None = None,
    items: Any = None,
    text_columns: Sequence[str] | None = None,
    text_embedder: str | Embedder | None = None,
    penalty: float | None = None,
    half_life: float | None = None,
    dim: int = DIM,
    min_count: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> ItemEmbedder:
    """Train EASE, a linear autoencoder in closed form (Steck, WWW 2019).

    P = (X^T X + penalty I)^-1 over sessions by items X; M[i, j] = -P[i, j] / P[j, j]. It is
    computed from the eigenvectors of X^T X, so memory is the square of the number of sessions or
    of items, whichever is smaller. Above 4,096 of both, only the `dim` largest are used.

    Args:
        data: As in `train_items`.
        session: As in `train_items`.
        item: As in `train_items`.
        order: As in `train_items`.
        rating: As in `train_items`.
        items: As in `train_items`.
        text_columns: As in `train_items`.
        text_embedder: As in `train_items`.
        penalty: Above 0. None: chosen on held-out items.
        half_life: As in `train_item_knn`.
        dim: As in `train_items`.
        min_count: As in `train_items`.
        seed: As in `train_items`.
        progress: As in `train_items`.

    Returns:
        The model, as `train_items` returns it.

    Raises:
        InvalidInputError: As in `train_items`.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"basket": [1, 1, 2, 2], "item": ["pen", "ink", "pen", "ink"]})
        >>> train_ease(table, session="basket", item="item", penalty=1.0).most_similar("pen")[0][0]
        'ink'
    """
    fixed = fixed_settings(penalty=penalty, half_life=half_life)
    reader = Reader(session, item, order, rating, min_count, seed)
    catalogue = Catalogue(items, text_columns, text_embedder)
    return train_methods("ease", [EASE], fixed, data, reader, catalogue, dim, seed, progress)


@gated
def train_sequence(
    data: pa.Table,
    *,
    session: str,
    item: str,
    order: str,
    rating: str | None = None,
    items: Any = None,
    text_columns: Sequence[str] | None = None,
    text_embedder: str | Embedder | None = None,
    window: int | None = None,
    backward: float | None = None,
    popularity: float | None = None,
    half_life: float | None = None,
    dim: int = DIM,
    min_count: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> ItemEmbedder:
    """Train co-occurrence in sequence: what soon came after what.

    M[i, j] is the sum of 1 / distance over all pairs of i and a later j that are at most `window`
    places apart, and `backward` times that for an earlier j, divided by
    (number of j) ** popularity.
    Where there are more than 2,048 items, the vectors hold the `dim` largest singular values of M.

    Args:
        data: As in `train_items`.
        session: As in `train_items`.
        item: As in `train_items`.
        order: As in `train_items`.
        rating: As in `train_items`.
        items: As in `train_items`.
        text_columns: As in `train_items`.
        text_embedder: As in `train_items`.
        window: 1 or more. None: chosen on held-out items.
        backward: From 0 to 1. None: chosen on held-out items.
        popularity: From 0 to 1. None: chosen on held-out items.
        half_life: As in `train_item_knn`.
        dim: As in `train_items`.
        min_count: As in `train_items`.
        seed: As in `train_items`.
        progress: As in `train_items`.

    Returns:
        The model, as `train_items` returns it.

    Raises:
        InvalidInputError: As in `train_items`.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"u": [1, 1, 1, 2, 2], "film": list("abcab"), "t": [1, 2, 3, 1, 2]})
        >>> model = train_sequence(table, session="u", item="film", order="t", backward=0)
        >>> [(film, round(score, 3)) for film, score in model.most_similar("a", k=2)]
        [('b', 2.0), ('c', 0.5)]
    """
    fixed = fixed_settings(
        window=window, backward=backward, popularity=popularity, half_life=half_life
    )
    reader = Reader(session, item, order, rating, min_count, seed)
    catalogue = Catalogue(items, text_columns, text_embedder)
    return train_methods(
        "sequence", [SEQUENCE], fixed, data, reader, catalogue, dim, seed, progress
    )
