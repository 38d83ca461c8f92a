"""Two lists of rows become one in a single compiled call, where that can be."""

from __future__ import annotations

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.index.kernels.loader import TEXT_LOADER
from vecsearch.query.fused import Fused
from vecsearch.query.fusion import CODES, DEPTH, Fusion, ListScores, without_words
from vecsearch.query.paths import Found
from vecsearch.query.searcher import Searcher
from vecsearch.query.text.search import MANY_LISTS, Ranking, TextQuery
from vecsearch.query.text.statistics import K1


def fused_rows(
    searcher: Searcher,
    query: TextQuery,
    vector: Vectors,
    text: Ranking,
    found: Found,
    fusion: Fusion,
    rows: int,
    wanted: int | None = None,
) -> Fused | None:
    """Fuse the best rows by words and by vectors.

    Args:
        searcher: What is searched.
        query: The words.
        vector: The vector, as it is compared.
        text: The best by words.
        found: The best by vectors.
        fusion: How two lists become one.
        rows: How many rows may be found.
        wanted: How many of the best are wanted; None for all. The order is of these, and only they
            have their scores.

    Returns:
        What they are together; None where the compiled code is not loaded or cannot read what is
        searched.
    """
    kernels, table, scorer = TEXT_LOADER.module, searcher.scorer.table, searcher.scorer
    statistics = searcher.words.statistics
    if kernels is None or table is None or scorer.scattered or not query.groups:
        return None
    lists, most = query.lists, MANY_LISTS * len(statistics.parts)
    if statistics.weigher is not None or not 0 < len(lists.lists) <= most:
        return None
    room = len(text.positions) + len(found.positions)
    numbers, scores = np.empty((7, room), np.int64), np.empty((7, room))
    by_words = np.ascontiguousarray(text.scores)
    zeros = without_words(by_words, rows)
    count = kernels.fuse_rows(
        *(np.ascontiguousarray(text.positions), by_words),
        *(np.ascontiguousarray(found.positions), np.ascontiguousarray(found.scores), zeros),
        *(*lists, query.factors, statistics.norms, K1),
        *(np.ascontiguousarray(vector), *table, scorer.code),
        *(CODES[fusion.method], float(fusion.text), float(fusion.k), DEPTH),
        *(room if wanted is None else wanted, numbers, scores),
    )
    candidates, by_vectors = numbers[0, :count], scores[6, : min(len(found.positions), DEPTH)]
    some = wanted is not None and wanted < count
    order = numbers[3, :wanted] if some else np.lexsort((candidates, -scores[2, :count]))
    return Fused(
        candidates,
        order,
        scores[2, :count],
        ListScores(numbers[2, :count], scores[1, :count], by_vectors),
        ListScores(numbers[1, :count], scores[0, :count], by_words[:DEPTH], zeros),
    )
