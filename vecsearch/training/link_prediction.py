"""Held-out links: what the model of links is fitted on, and what the report measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.embedders.report import MethodScore, TrainingReport
from vecsearch.graphs.graph import Graph, Nodes
from vecsearch.graphs.links import Floats, LinkModel, PairFeatures, auc, without_links
from vecsearch.ingest.graph_tables import Links

NOTHING_HELD_OUT = (
    "Nothing was held out, as there are too few links: link_scores is the cosine of the vectors."
)
ASKED_NOT = "Nothing was held out, as held_out is 0: link_scores is the cosine of the vectors."
FEWEST = 10  # held-out links that a measure needs
FEWEST_OF_TYPE = 20
NEGATIVES = 5  # pairs without a link for each held-out link that is measured
COSINE = "cosine of the vectors"
BASELINES = ("common neighbors", "Adamic-Adar", "preferential attachment")
TEXTS = "similarity of the texts"


@dataclass(frozen=True)
class Pairs:
    """Pairs of nodes of which it is known whether they are linked.

    Attributes:
        tail: The first node of each.
        head: The second.
        linked: Whether they are linked.
        kinds: The number of the link's type; -1 where there is no link.
    """

    tail: Nodes
    head: Nodes
    linked: npt.NDArray[np.bool_]
    kinds: Nodes


@dataclass(frozen=True)
class Split:
    """Links in three parts.

    Attributes:
        training: The graph without the held-out links.
        fitting: The pairs that the model of links is fitted on, and that training is stopped by.
        measured: The pairs that the report measures.
    """

    training: Graph
    fitting: Pairs
    measured: Pairs


def split_links(links: Links, share: float, seed: int) -> Split | None:
    """Hold links out, twice: a share to fit the model of links on, and as many to measure it.

    All edges between two nodes go to the same part. Pairs without a link are drawn evenly.

    Returns:
        The parts; None where fewer than 10 links would be in each.
    """
    random = np.random.default_rng([seed, 0x11])
    keys = links.keys()
    distinct = np.unique(keys[links.tail != links.head])
    count = round(share * len(distinct))
    if count < FEWEST:
        return None
    drawn = random.permutation(distinct)
    fitting, measured = drawn[:count], drawn[count : 2 * count]
    whole = links.graph()
    parts = []
    for held_out, negatives in ((fitting, count), (measured, NEGATIVES * count)):
        rows = np.flatnonzero(np.isin(keys, held_out))
        tail, head = links.tail[rows], links.head[rows]
        no_tail, no_head = without_links(whole, negatives, random)
        if not len(no_tail):
            return None
        parts.append(
            Pairs(
                np.concatenate([tail, no_tail]),
                np.concatenate([head, no_head]),
                np.arange(len(tail) + len(no_tail)) < len(tail),
                np.concatenate([links.kinds[rows], np.full(len(no_tail), -1)]),
            )
        )
    training = links.graph(~np.isin(keys, drawn[: 2 * count]))
    return Split(training, *parts)


def vectors_auc(pairs: Pairs) -> Callable[[Vectors], float]:
    """How well the cosine of vectors tells the linked pairs: its area under the ROC curve."""

    def measure(vectors: Vectors) -> float:
        lengths = np.linalg.norm(vectors, axis=1)
        products = np.vecdot(vectors[pairs.tail], vectors[pairs.head]).astype(np.float64)
        norms = lengths[pairs.tail] * lengths[pairs.head]
        cosines = products / np.where(norms > 0, norms, 1)
        return auc(cosines[pairs.linked], cosines[~pairs.linked])[0]

    return measure


def fit_links(
    split: Split, links: Links, vectors: Vectors, content: Vectors | None
) -> tuple[dict[str, LinkModel], tuple[MethodScore, ...]]:
    """Fit the models of links, and measure them beside the ordinary ones.

    Args:
        split: The parts.
        links: All links.
        vectors: Vectors that were trained on the training part.
        content: Vectors of the nodes' texts and columns.

    Returns:
        The models, fitted on both held-out parts: "" for any link, others by type. And the areas
        under the ROC curve over the measured part, of a model fitted on the other part first.
    """
    features = PairFeatures(split.training, vectors, content)
    fitting = features.of(split.fitting.tail, split.fitting.head)
    measured = features.of(split.measured.tail, split.measured.head)
    linked = split.measured.linked
    first = LinkModel.fit(fitting, split.fitting.linked).scores(measured)
    rows = [("link_scores", first), (COSINE, measured[COSINE])]
    rows += [(name, measured[name]) for name in BASELINES]
    rows += [(TEXTS, measured[TEXTS])] if TEXTS in measured else []
    scores = tuple(MethodScore(name, *auc(each[linked], each[~linked])) for name, each in rows)
    return _models(split, links, fitting, measured), scores


def _models(
    split: Split, links: Links, fitting: dict[str, Floats], measured: dict[str, Floats]
) -> dict[str, LinkModel]:
    """Models fitted on both held-out parts, with as many pairs without a link as with one."""
    both = {name: np.concatenate([fitting[name], measured[name]]) for name in fitting}
    linked = np.concatenate([split.fitting.linked, split.measured.linked])
    kinds = np.concatenate([split.fitting.kinds, split.measured.kinds])
    unlinked = np.flatnonzero(~linked)

    def fitted(positive: Nodes) -> LinkModel:
        chosen = unlinked[:: max(1, len(unlinked) // max(len(positive), 1))]
        rows = np.concatenate([positive, chosen[: len(positive)]])
        return LinkModel.fit({name: both[name][rows] for name in both}, linked[rows])

    models = {"": fitted(np.flatnonzero(linked))}
    for number, name in enumerate(links.types):
        positive = np.flatnonzero(linked & (kinds == number))
        if len(links.types) > 1 and len(positive) >= FEWEST_OF_TYPE:
            models[name] = fitted(positive)
    return models


def link_report(
    kind: str,
    links: Links,
    scores: tuple[MethodScore, ...],
    *,
    epochs: int,
    stopped: str,
    without: int,
    measured: int,
    share: float,
) -> TrainingReport:
    """The report of a model of nodes."""
    notes = [NOTHING_HELD_OUT if share else ASKED_NOT]
    if scores:
        notes = [
            f"Measured with {2 * share:.0%} of the links left out of training: half of them to fit "
            "link_scores, half to measure. The model that was returned is trained on all links."
        ]
    if without:
        verb = "node has" if without == 1 else "nodes have"
        notes.append(
            f"{without:,} {verb} neither links nor content to place it by: the vector is zero."
        )
    return TrainingReport(
        kind,
        {"nodes": len(links.nodes), "edges": len(links.tail)},
        f"area under the ROC curve over {measured:,} held-out links, all of them" * bool(scores),
        scores,
        epochs,
        stopped,
        tuple(notes),
    )
