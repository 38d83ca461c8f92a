"""Choose how hybrid searches make one list of two: on one half of the queries, proved on the other.

Tuning can always find something that is better on the queries it looked at. So the choice is kept
only if the other half says that it is better: the 95% bootstrap interval of the mean difference
lies above zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.errors import InvalidInputError, QueryError
from vecsearch.evaluation.judged import read_judgements
from vecsearch.evaluation.known_items import known_item_questions
from vecsearch.evaluation.metrics import bootstrap_interval, ndcg_at_k
from vecsearch.query.encode import QueryEncoder
from vecsearch.query.fused import Fused
from vecsearch.query.fusion import DEPTH, Fusion
from vecsearch.query.modes import ModeSearch, fusion_for
from vecsearch.query.request import Request
from vecsearch.query.searcher import Searcher
from vecsearch.query.shape import Shape
from vecsearch.storage.manifest import Manifest, replace
from vecsearch.storage.store import Store
from vecsearch.types import counted

K = 10
LEAST_QUERIES = 20
SHARES = [number / 10 for number in range(11)]  # of the words
RRF_K = (2, 5, 10, 20, 40, 60, 100)


@dataclass(frozen=True, slots=True)
class FusionReport:
    """What `Collection.tune_fusion` found.

    Attributes:
        fusion: How hybrid searches of the collection make one list now.
        kept: Whether `best` was proved better, and is `fusion` now.
        best: What was best on the first half of the queries.
        before: nDCG@10 on the second half with the fusion of before.
        after: nDCG@10 on the second half with `best`.
        low: Lower end of the 95% interval of the mean difference on the second half.
        high: Its upper end.
        text: nDCG@10 on the second half of words alone.
        vector: nDCG@10 on the second half of vectors alone.
        queries: How many queries each half has, at least.
        version: The version that is the latest now.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("notes.vs", embedder="toy:64")
        >>> _ = c.add([f"note number{n} is about topic{n}" for n in range(40)])
        >>> queries = {str(n): f"topic{n}" for n in range(40)}
        >>> report = c.tune_fusion(queries, {str(n): {str(n): 1} for n in range(40)})
        >>> report.kept, report.fusion
        (False, Fusion(method='weighted', text=0.6, k=60.0))
    """

    fusion: Fusion
    kept: bool
    best: Fusion
    before: float
    after: float
    low: float
    high: float
    text: float
    vector: float
    queries: int
    version: int

    def __str__(self) -> str:
        result = "kept" if self.kept else "not kept: the difference may be chance"
        return (
            f"{self.best} on {self.queries} other queries: nDCG@10 {self.after:.3f}, before "
            f"{self.before:.3f} (difference {self.low:+.3f} to {self.high:+.3f}); words alone "
            f"{self.text:.3f}, vectors alone {self.vector:.3f}; {result}"
        )


def candidates() -> list[Fusion]:
    """The fusions that are tried."""
    tried = [Fusion(method, share) for method in ("weighted", "dbsf") for share in SHARES]
    return tried + [Fusion("rrf", share, k) for k in RRF_K for share in SHARES[2:9]]


def tune_fusion(
    store: Store,
    searcher: Searcher,
    encoder: Callable[[Manifest], QueryEncoder],
    queries: Any,
    qrels: Any,
    recall: float,
    n_queries: int,
    seed: int,
) -> FusionReport:
    """Choose a fusion, and commit it if it is proved better.

    Args:
        store: The collection.
        searcher: What is searched.
        encoder: Gives what makes vectors of queries.
        queries: Queries, as `evaluate` takes them; None makes questions of the documents.
        qrels: Relevance judgments, as `evaluate` takes them.
        recall: The recall of the search by vectors.
        n_queries: Without judgments: how many questions to make.
        seed: Seed of the halves, and of the questions.

    Raises:
        InvalidInputError: There are too few queries, or they are wrong.
        QueryError: The collection is not searched by words.
    """
    manifest = searcher.snapshot.manifest
    if manifest.full_text is None:
        raise QueryError(
            "the collection cannot be searched by words: it has no text index",
            hint="call build_text_index first",
            command_hint="run `vecsearch build-text` first",
        )
    texts, relevant = _questions(searcher, queries, qrels, n_queries, seed)
    fused, ids = _lists(searcher, encoder, texts, recall)
    order = np.random.default_rng(seed).permutation(len(texts))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    before = fusion_for(manifest, None)
    values = {each: _ndcg(each, fused, ids, relevant) for each in [before, *candidates()]}
    best = max(values, key=lambda each: (values[each][first].mean(), each == before))
    difference = (values[best] - values[before])[second]
    low, high = bootstrap_interval(difference, 0.95, seed=seed)
    kept = best != before and low > 0
    version = _commit(store, best) if kept else manifest.version
    return FusionReport(
        fusion=best if kept else before,
        kept=kept,
        best=best,
        before=float(values[before][second].mean()),
        after=float(values[best][second].mean()),
        low=low,
        high=high,
        text=float(values[Fusion("weighted", 1.0)][second].mean()),
        vector=float(values[Fusion("weighted", 0.0)][second].mean()),
        queries=len(first),
        version=version,
    )


def _questions(
    searcher: Searcher, queries: Any, qrels: Any, n_queries: int, seed: int
) -> tuple[list[str], list[dict[str, int]]]:
    """Queries, and the relevant documents of each."""
    if queries is None and qrels is None:
        texts, relevant = known_item_questions(searcher.snapshot, n_queries, seed)
    else:
        if queries is None:
            raise InvalidInputError(
                "there are relevance judgments, but no queries",
                hint="give queries too",
                command_hint="give --queries too",
            )
        listed, grades = read_judgements(queries, qrels)
        named = [name for name in listed if max(grades.get(name, {}).values(), default=0) > 0]
        wrong = [name for name in named if not isinstance(listed[name], str)]
        if wrong:
            raise InvalidInputError(f"query {wrong[0]!r} is no text, so it has no words")
        texts = [listed[name] for name in named]
        relevant = [dict(grades[name]) for name in named]
    if len(texts) < LEAST_QUERIES:
        raise InvalidInputError(
            f"there {'is' if len(texts) == 1 else 'are'} "
            f"{counted(len(texts), 'query', 'queries')} with a relevant document; at least "
            f"{LEAST_QUERIES} are needed to choose with one half and prove it with the other"
        )
    return texts, relevant


def _lists(
    searcher: Searcher,
    encoder: Callable[[Manifest], QueryEncoder],
    texts: Sequence[str],
    recall: float,
) -> tuple[list[Fused], list[list[str]]]:
    """What both lists say of the candidates of each query, and the ids of these."""
    snapshot = searcher.snapshot
    request = Request(searcher, snapshot.live, recall, False, False, Shape(K))
    search = ModeSearch(request, encoder, "hybrid", None, None)
    vectors = encoder(snapshot.manifest).encode_many(list(texts))
    fused, ids = [], []
    for text, vector in zip(texts, vectors, strict=True):
        query = searcher.words.read(text, syntax=False)
        lists, _ = search.fuse(query, vector, snapshot.live, None, DEPTH)
        fused.append(lists)
        ids.append([str(name) for name in snapshot.ids_at(lists.candidates)])
    return fused, ids


def _ndcg(
    fusion: Fusion,
    fused: Sequence[Fused],
    ids: Sequence[Sequence[str]],
    relevant: Sequence[dict[str, int]],
) -> npt.NDArray[np.float64]:
    """nDCG@10 of each query with a fusion."""
    found = []
    for lists, names in zip(fused, ids, strict=True):
        scores = fusion.fuse(lists.by_text, lists.by_vector)
        best = np.lexsort((lists.candidates, -scores))[:K]
        found.append([names[at] for at in best.tolist()])
    grades = [{name: float(grade) for name, grade in each.items()} for each in relevant]
    return ndcg_at_k(found, grades, K)


def _commit(store: Store, fusion: Fusion) -> int:
    """Store a fusion; the version that was committed."""
    with store.locked() as latest:
        full_text = latest.manifest.full_text
        if full_text is None:
            return latest.manifest.version
        entry = replace(full_text, fusion=fusion.to_dict())
        version = latest.manifest.next("tune_fusion", full_text=entry)
        store.commit(None, version)
        return version.version
