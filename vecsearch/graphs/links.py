"""What is known of a pair of nodes, and a score for it: link prediction.

Liben-Nowell and Kleinberg, "The Link-Prediction Problem for Social Networks" (CIKM 2003), compares
the measures of shared neighbors; Adamic and Adar, "Friends and neighbors on the Web" (2003), weigh
a shared neighbor by 1 / log of its links, Zhou, Lü and Zhang, "Predicting missing links via local
information" (2009), by 1 / its links. A logistic regression puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.common.lazy import lazy
from vecsearch.graphs.graph import Graph, Nodes
from vecsearch.graphs.near import unit_rows

_BLOCK = 8192  # pairs whose shared neighbors are found at a time
_SMALLEST_PATH = 1e-4
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairFeatures:
    """Computes what is known of pairs of nodes.

    Args:
        graph: The links.
        vectors: The nodes' vectors: float32, shape (nodes, dim).
        content: Vectors of the nodes' texts and columns: float32, shape (nodes, any); None without.
    """

    graph: Graph
    vectors: Vectors
    content: Vectors | None = None

    def of(self, tail: Nodes, head: Nodes) -> dict[str, Floats]:
        """Each feature of the pairs (tail[i], head[i]), by its name."""
        found = {name: np.empty(len(tail)) for name in self._names()}
        for first in range(0, len(tail), _BLOCK):
            block = slice(first, first + _BLOCK)
            for name, values in self._block(tail[block], head[block]).items():
                found[name][block] = values
        return found

    def _names(self) -> list[str]:
        none = np.empty(0, np.int64)
        return list(self._block(none, none))

    @lazy
    def _parts(self) -> dict[str, Any]:
        """What is computed once for all pairs."""
        from scipy.sparse import diags

        either = self.graph.either
        degree = np.asarray(either.sum(axis=1)).ravel()
        parts: dict[str, Any] = {
            "either": either,
            "degree": degree,
            "adamic": diags(1 / np.log(np.maximum(degree, 2))),
            "allocation": diags(1 / np.maximum(degree, 1)),
            "unit": unit_rows(self.vectors),
        }
        parts["step"] = (parts["allocation"] @ either).tocsr()
        parts["back"] = parts["step"].T.tocsr()
        if self.graph.directed:
            parts["forward"] = self.graph.matrix.astype(bool).astype(np.float64)
            parts["reversed"] = parts["forward"].T.tocsr()
        if self.content is not None:
            content = unit_rows(self.content)
            around = content
            for _ in range(2):
                around = unit_rows(np.asarray(parts["step"] @ around + around, np.float32))
            parts["content"], parts["around"] = content, around
        return parts

    def _block(self, tail: Nodes, head: Nodes) -> dict[str, Floats]:
        parts = self._parts
        left, right = parts["either"][tail], parts["either"][head]
        shared = left.multiply(right).tocsr()
        paths = (parts["step"][tail] @ parts["step"]).multiply(parts["back"][head])
        paths_back = (parts["step"][head] @ parts["step"]).multiply(parts["back"][tail])
        low, high = np.sort(parts["degree"][np.stack([tail, head])], axis=0)
        found: dict[str, Floats] = {
            "common neighbors": _sums(shared),
            "Adamic-Adar": _sums(shared @ parts["adamic"]),
            "resource allocation": _sums(shared @ parts["allocation"]),
            "paths of 3": np.log(_sums(paths) + _sums(paths_back) + _SMALLEST_PATH),
            "fewer links": np.log1p(low),
            "more links": np.log1p(high),
            "preferential attachment": np.log1p(low) + np.log1p(high),
            "cosine of the vectors": _products(parts["unit"], tail, head),
        }
        if self.graph.directed:
            forward, reverse = parts["forward"], parts["reversed"]
            found |= {
                "links from the source": np.log1p(_sums(forward[tail])),
                "links to the target": np.log1p(_sums(reverse[head])),
                "paths of 2": np.log1p(_sums(forward[tail].multiply(reverse[head]))),
                "link back": _sums(forward[head].multiply(_one_hot(tail, forward.shape[1]))),
            }
        if self.content is not None:
            found |= {
                "similarity of the texts": _products(parts["content"], tail, head),
                "similarity of the texts around": _products(parts["around"], tail, head),
            }
        return found


def _sums(rows: Any) -> Floats:
    return np.asarray(rows.sum(axis=1), dtype=np.float64).ravel()


def _products(unit: Vectors, tail: Nodes, head: Nodes) -> Floats:
    return np.asarray(np.vecdot(unit[tail], unit[head]), dtype=np.float64)


def _one_hot(columns: Nodes, width: int) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix(
        (np.ones(len(columns)), columns, np.arange(len(columns) + 1)), (len(columns), width)
    )


@dataclass(frozen=True)
class LinkModel:
    """A logistic regression over the features of a pair.

    Attributes:
        names: The features, in order.
        weights: What a standardized feature adds to the log odds.
        means: The features' means in training.
        deviations: Their standard deviations; 1 where a feature did not vary.
        intercept: The log odds of a mean pair.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    intercept: float

    @classmethod
    def fit(cls, features: Mapping[str, Floats], linked: npt.NDArray[np.bool_]) -> LinkModel:
        """Fit on pairs of which it is known whether they are linked; both kinds must be there."""
        from sklearn.linear_model import LogisticRegression

        matrix = np.column_stack(list(features.values()))
        means, deviations = matrix.mean(axis=0), matrix.std(axis=0)
        deviations = np.where(deviations > 1e-9, deviations, 1.0)
        fitted = LogisticRegression(max_iter=1000).fit((matrix - means) / deviations, linked)
        return cls(
            tuple(features),
            tuple(fitted.coef_[0].tolist()),
            tuple(means.tolist()),
            tuple(deviations.tolist()),
            float(fitted.intercept_[0]),
        )

    def scores(self, features: Mapping[str, Floats]) -> Floats:
        """Between 0 and 1: the probability of a link, were half of the pairs linked."""
        matrix = np.column_stack([features[name] for name in self.names])
        scaled = (matrix - np.array(self.means)) / np.array(self.deviations)
        odds = scaled @ np.array(self.weights) + self.intercept
        return np.asarray(0.5 * (1 + np.tanh(odds / 2)))


def without_links(graph: Graph, count: int, random: np.random.Generator) -> tuple[Nodes, Nodes]:
    """Pairs of different nodes without a link, each as likely as any other; no pair twice.

    Fewer than `count` where the graph has fewer.
    """
    size = len(graph.nodes)
    found = np.empty(0, np.int64)
    if size**2 <= max(4 * count, 250_000):
        every = np.arange(size**2, dtype=np.int64)
        every = every[_free(graph, every)]
        found = np.sort(random.choice(every, min(count, len(every)), replace=False))
    else:
        for _ in range(100):
            drawn = random.integers(size**2, size=2 * count)
            found = np.unique(np.concatenate([found, drawn[_free(graph, drawn)]]))
            if len(found) >= count:
                break
        found = np.sort(random.permutation(found)[:count])
    return found // size, found % size


def _free(graph: Graph, keys: Nodes) -> npt.NDArray[np.bool_]:
    """Which pairs, as `tail * nodes + head`, are of two nodes without a link.

    In a graph that is not directed only those with tail < head, so that no pair comes twice.
    """
    tail, head = keys // len(graph.nodes), keys % len(graph.nodes)
    wanted = tail != head if graph.directed else tail < head
    return np.asarray(wanted & ~graph.has_edges(tail, head))


def auc(linked: Floats, unlinked: Floats) -> tuple[float, float, float]:
    """The area under the ROC curve and its 95% interval.

    It is the probability that a linked pair scores above one without a link, a tie counting half
    (Mann and Whitney, 1947). The interval is normal, with the variance of DeLong, DeLong and
    Clarke-Pearson (Biometrics, 1988), cut at 0 and 1.

    Example:
        >>> import numpy as np
        >>> auc(np.array([0.9, 0.4]), np.array([0.5, 0.1]))[0]
        0.75
    """
    above = _placements(linked, unlinked)
    below = 1 - _placements(unlinked, linked)
    area = float(above.mean())
    variance = sum(each.var(ddof=1) / len(each) for each in (above, below) if len(each) > 1)
    spread = 1.959964 * float(np.sqrt(variance))
    return area, max(0.0, area - spread), min(1.0, area + spread)


def _placements(values: Floats, others: Floats) -> Floats:
    """The share of the others that each value is above, a tie counting half."""
    ordered = np.sort(others)
    lower = np.searchsorted(ordered, values, "left")
    upper = np.searchsorted(ordered, values, "right")
    return np.asarray((lower + upper) / 2 / len(ordered))
