"""Make one ranking of two: by words and by vectors.

Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009) adds `weight / (k + rank)`.
Distribution-based score fusion ("dbsf") puts the scores of each list on a scale from three standard
deviations below their mean (0) to three above (1), and adds them. "weighted" adds standardized
scores: how many standard deviations a score lies above the mean of its list. A list by words of
fewer than 100 rows is filled with rows of the score 0 for that, so far as there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from vecsearch.common.gate import gate
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.index.kernels import numpy_fusion
from vecsearch.index.kernels.loader import TEXT_LOADER

METHODS = ("rrf", "dbsf", "weighted")
CODES = {
    "weighted": numpy_fusion.WEIGHTED,
    "rrf": numpy_fusion.RRF,
    "dbsf": numpy_fusion.DBSF,
}
DEPTH = 100  # documents of each list, for up to as many hits
Doubles = npt.NDArray[np.float64]


@gate
@dataclass(frozen=True)
class Fusion:
    """How a hybrid search makes one list of two.

    Args:
        method: "weighted" adds standardized scores, "rrf" is reciprocal rank fusion, "dbsf" is
            distribution-based score fusion.
        text: The share of the words, 0 to 1; the rest is that of the vectors.
        k: Only for "rrf": how little the first ranks count more than later ones.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("notes.vs", embedder="toy:64")
        >>> _ = c.add([{"id": "boat", "text": "a boat"}, {"id": "ship", "text": "a large ship"}])
        >>> c.search("a large ship", k=1, mode="hybrid", fusion=vs.Fusion("rrf", k=10)).ids
        ['ship']
    """

    method: Literal["weighted", "rrf", "dbsf"] = "weighted"
    text: float = 0.6
    k: float = 60.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InvalidInputError(
                f"there is no fusion {shown(self.method)}{did_you_mean(str(self.method), METHODS)}",
                hint=f"one of {', '.join(METHODS)}",
            )
        for name, lowest, highest in (("text", 0, 1), ("k", 0, 1e6)):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not lowest <= value <= highest:
                raise InvalidInputError(
                    f"{name} of a fusion is {shown(value)}; it must be a number from {lowest} to "
                    f"{highest:g}"
                )

    def to_dict(self) -> dict[str, Any]:
        """As the manifest stores it."""
        return asdict(self)

    def fuse(self, text: ListScores, vector: ListScores) -> Doubles:
        """The scores of candidates from their scores in both lists, larger is better."""
        total = np.empty(len(text.scores))
        kernels = TEXT_LOADER.kernels(0) or numpy_fusion
        kernels.fuse(*text, *vector, CODES[self.method], float(self.text), float(self.k), total)
        return total


DEFAULT = Fusion()


class ListScores(NamedTuple):
    """What one list says of all candidates.

    Attributes:
        ranks: From 1; 0 for a candidate that the list does not have. In C order, as scores.
        scores: Of each candidate, also of those that are not in the list.
        listed: The first scores in the list, by which all are standardized.
        zeros: How many rows of the score 0 count to them ("weighted"); see `without_words`.
    """

    ranks: npt.NDArray[np.int64]
    scores: Doubles
    listed: Doubles
    zeros: int = 0


def without_words(listed: Doubles, rows: int) -> int:
    """How many rows without any of the words count to a list of words, of `rows` that may be found.

    They count with the score that they have, which is 0. So a row stands out that alone has a word:
    by itself it would be the mean of its list.

    Example:
        >>> without_words(np.array([3.5]), 4)
        3
    """
    return max(min(DEPTH, rows) - len(listed), 0)


def fusion_of(given: Any) -> Fusion:
    """A fusion as a caller gives it: a method's name, options, or a Fusion.

    Raises InvalidInputError.
    """
    if isinstance(given, Fusion):
        return given
    if isinstance(given, str):
        return Fusion(given)  # type: ignore[arg-type]  # it is checked
    if isinstance(given, Mapping):
        known = [field.name for field in fields(Fusion)]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise InvalidInputError(
                f"a fusion has no option {shown(unknown[0])}{did_you_mean(str(unknown[0]), known)}"
            )
        return Fusion(**given)
    raise InvalidInputError(
        f"fusion is {shown(given)}; it must be one of {', '.join(METHODS)}, or a Fusion"
    )


def depth_for(k: int) -> int:
    """How many documents of each list are fused: the same for all k up to 100, then doubled."""
    depth = DEPTH
    while depth < k:
        depth *= 2
    return depth
