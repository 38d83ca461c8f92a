"""TransE: vectors of entities and relations, so that head + relation lies near the tail.

Bordes et al., "Translating Embeddings for Modeling Multi-relational Data" (NIPS 2013). The steps
are in `vecsearch.graphs.triples`, in numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.common.arguments import check_whole
from vecsearch.common.arrays import Vectors
from vecsearch.common.gate import gated
from vecsearch.common.show import shown
from vecsearch.embedders.transe import TripleEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.triples import (
    Translation,
    Triples,
    filtered_ranks,
    frequency_scores,
    translation_scores,
)
from vecsearch.ingest.graph_tables import graph_tables
from vecsearch.ingest.table_columns import id_column
from vecsearch.training.gensim import Progress, check_settings
from vecsearch.training.report import TrainingReport, method_score
from vecsearch.training.stopping import Watch, held_out_rows

if TYPE_CHECKING:
    import pyarrow as pa

EVERY = 10  # epochs between two measurements
PATIENCE = 3
MOST_HELD_OUT = 2000
DEFAULT = ("source", "type", "target")
OTHER_NAMES = (("head", "relation", "tail"), ("subject", "predicate", "object"))
NOTHING_HELD_OUT = "Nothing was held out, as there are too few triples."
ASKED_NOT = "Nothing was held out, as held_out is 0."


@gated
def train_transe(
    triples: Any,
    *,
    source: str = "source",
    relation: str = "type",
    target: str = "target",
    dim: int = 64,
    epochs: int = 200,
    margin: float = 1.0,
    rate: float = 0.1,
    negative: int = 4,
    batch: int = 1024,
    held_out: float = 0.1,
    seed: int = 0,
    progress: Progress | None = None,
) -> TripleEmbedder:
    """Train vectors of the entities and relations of a knowledge graph.

    The loss of a triple (h, r, t) and one (h', r, t') in which an entity was exchanged is max(0,
    margin + |h + r - t| - |h' + r - t'|), with Euclidean lengths; entities are scaled to length 1
    at most. Triples are held out to stop in time and to measure; then the vectors are trained on
    all. The same seed gives the same vectors.

    Args:
        triples: One row for each triple: anything that `Collection.add` takes, tuples of (head,
            relation, tail), or a networkx graph whose edges have the attribute that `relation`
            names.
        source: The column with the head. Without columns of the default names, those called head,
            relation and tail, or subject, predicate and object, are taken.
        relation: The column with the relation.
        target: The column with the tail.
        dim: Length of the vectors.
        epochs: The most passes over the triples.
        margin: How much farther an exchanged triple should be.
        rate: The size of the first steps.
        negative: How many exchanged triples are drawn for each.
        batch: Triples of a step.
        held_out: The share of triples to hold out, half to stop by and half to measure; 2,000 at
            most. 0 holds none out.
        seed: Seed of all random choices.
        progress: Called with the number of finished epochs and of all epochs.

    Returns:
        An embedder whose keys are the entities as strings.

    Raises:
        InvalidInputError: A column is missing or contains a null, the table is empty, or an option
            is out of range.

    Example:
        >>> capitals = [
        ...     {"source": "Paris", "type": "capital of", "target": "France"},
        ...     {"source": "Rome", "type": "capital of", "target": "Italy"},
        ... ]
        >>> model = train_transe(capitals, dim=8, epochs=20)
        >>> model.predict("Paris", "capital of", k=1)[0][0]
        'France'
    """
    check_settings(dim=dim, epochs=epochs, batch=batch, seed=seed)
    if check_whole("negative", negative, 1) > batch:
        raise InvalidInputError(f"negative is {negative:,}; it must be {batch:,} or less (batch)")
    for name, value in (("margin", margin), ("rate", rate)):
        if not (isinstance(value, int | float) and 0 < value < np.inf):
            raise InvalidInputError(f"{name} is {shown(value)}; it must be above 0")
    entities, relations, known = _read(triples, source, relation, target)
    sizes = len(entities), len(relations)
    rows, stopping, measured = held_out_rows(len(known), held_out, seed, MOST_HELD_OUT)
    total = epochs * (2 if len(measured) else 1)

    def start() -> Translation:
        return Translation(*sizes, dim, margin, rate, np.random.default_rng(seed))

    taken = epochs
    counts = {"triples": len(known), "entities": sizes[0], "relations": sizes[1]}
    note = NOTHING_HELD_OUT if held_out else ASKED_NOT
    report = TrainingReport("transe", counts, "", (), epochs, "", (note,))
    if len(measured):
        model = start()

        def state() -> tuple[Vectors, Vectors]:
            return model.entities.astype(np.float32), model.relations.astype(np.float32)

        def measure() -> float:
            scores = translation_scores(*state())
            return float((1 / filtered_ranks(scores, known[stopping], known)).mean())

        watch = Watch(measure, state, PATIENCE)
        for epoch in range(1, epochs + 1):
            model.epoch(known[rows], batch, negative)
            if progress is not None:
                progress(epoch, total)
            if (epoch % EVERY == 0 or epoch == epochs) and watch.after(epoch):
                break
        assert watch.best is not None
        taken = watch.best_epoch
        ranks = {
            "transe": filtered_ranks(translation_scores(*watch.best), known[measured], known),
            "frequency in the relation": filtered_ranks(
                frequency_scores(known[rows], sizes[0]), known[measured], known
            ),
            "chance": filtered_ranks(
                lambda asked, _: np.zeros((len(asked), sizes[0])), known[measured], known
            ),
        }
        report = _report(ranks, counts, taken, watch.reason(epochs), seed)
    model = start()
    for epoch in range(1, taken + 1):
        model.epoch(known, batch, negative)
        if progress is not None:
            progress(total - epochs + epoch, total)
    if progress is not None and taken < epochs:
        progress(total, total)
    about = {
        "trained": "transe",
        "triples": len(known),
        "epochs": taken,
        "margin": margin,
        "rate": rate,
        "negative": negative,
        "batch": batch,
        "seed": seed,
    }
    embedder = TripleEmbedder(
        entities,
        model.entities.astype(np.float32),
        relations,
        model.relations.astype(np.float32),
        known,
        about=about,
    )
    embedder.report = report
    return embedder


def _read(
    triples: Any, source: str, relation: str, target: str
) -> tuple[list[str], list[str], Triples]:
    """Entities, relations, and the different triples by number, in the order of the table."""
    table = _table(triples, source, relation, target)
    names = (source, relation, target)
    if names == DEFAULT and not set(names) & set(table.column_names):
        others = (each for each in OTHER_NAMES if set(each) <= set(table.column_names))
        source, relation, target = next(others, names)
    heads, tails = id_column(table, source), id_column(table, target)
    kinds = id_column(table, relation)
    if not len(heads):
        raise InvalidInputError("the table of triples is empty")
    entities, codes = np.unique(np.concatenate([heads, tails]), return_inverse=True)
    relations, numbers = np.unique(kinds, return_inverse=True)
    known = np.stack([codes[: len(heads)], numbers, codes[len(heads) :]], axis=1)
    first = np.unique(known, axis=0, return_index=True)[1]
    return entities.tolist(), relations.tolist(), known[np.sort(first)].astype(np.int64)


def _table(triples: Any, source: str, relation: str, target: str) -> pa.Table:
    """The triples as a table; tuples are (head, relation, tail)."""
    import pyarrow as pa

    if isinstance(triples, np.ndarray) and triples.ndim == 2:
        triples = triples.tolist()
    listed = isinstance(triples, list | tuple) and len(triples) > 0
    if not (listed and isinstance(triples[0], list | tuple)):
        return graph_tables(triples, source=source, target=target).edges
    for number, triple in enumerate(triples):
        if not isinstance(triple, list | tuple) or len(triple) != 3 or None in triple:
            raise InvalidInputError(
                f"triple {number} is {shown(triple)}; it must be (head, relation, tail)"
            )
    columns = ([str(each[at]) for each in triples] for at in range(3))
    return pa.table(dict(zip((source, relation, target), columns, strict=True)))


def _report(
    ranks: dict[str, Any],
    counts: dict[str, int],
    epochs: int,
    stopped: str,
    seed: int,
) -> TrainingReport:
    """Mean reciprocal ranks as the scores, and the share of ranks up to 10 in a sentence."""
    hits = [
        method_score(name, (each <= 10).mean(axis=1), seed=seed) for name, each in ranks.items()
    ]
    shares = "; ".join(f"{h.method} {h.value:.3f} ({h.low:.3f} to {h.high:.3f})" for h in hits)
    return TrainingReport(
        "transe",
        counts,
        f"mean reciprocal rank of head and tail of {len(ranks['transe']):,} held-out triples",
        tuple(
            method_score(name, (1 / each).mean(axis=1), seed=seed) for name, each in ranks.items()
        ),
        epochs,
        stopped,
        (
            f"Share of ranks up to 10 (Hits@10): {shares}.",
            "Ranks are filtered: other true answers do not count (Bordes et al., 2013). Measured "
            "with the held-out triples left out of training; the model that was returned is "
            "trained on all.",
        ),
    )
