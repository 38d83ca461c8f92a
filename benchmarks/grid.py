"""The declared grid (grid.toml): which indexes are built of each library, and which efforts are
searched with.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import ADAPTERS

Args = Mapping[str, Any]
DEFAULT = Path(__file__).with_name("grid.toml")


@dataclass(frozen=True)
class Variant:
    """One index of one library: how it is built, and the query arguments to search it with, without
    and with a filter.
    """

    peer: str
    build: Args
    query: Sequence[Args]
    filtered: Sequence[Args]

    @property
    def name(self) -> str:
        """Fit for a table and for a folder: `hnswlib M=16 ef_construction=200`."""
        return " ".join([self.peer, *(f"{key}={value}" for key, value in self.build.items())])


def read(
    path: Path = DEFAULT, *, only: Sequence[str] | None = None, quick: bool = False
) -> list[Variant]:
    """The variants of the libraries in `only` (all when None), in the file's order; `quick` thins
    them out.

    Raises ValueError for a library without an adapter, or one in `only` that the file does not
    have.
    """
    with path.open("rb") as file:
        declared = tomllib.load(file)
    for name in [*declared, *(only or [])]:
        if name not in ADAPTERS:
            raise ValueError(f"there is no adapter for {name!r}: there are {', '.join(ADAPTERS)}")
    missing = [name for name in only or [] if name not in declared]
    if missing:
        raise ValueError(f"{path.name} does not say what to try of {', '.join(missing)}")
    variants = []
    for name, entry in declared.items():
        if only is not None and name not in only:
            continue
        builds = expand(entry["build"])
        query = expand(entry["query"])
        filtered = expand(entry["filtered"]) if "filtered" in entry else query
        if quick:
            builds, query, filtered = builds[:1], _three(query), _three(filtered)[-1:]
        variants += [Variant(name, build, query, filtered) for build in builds]
    return variants


def expand(lists: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of one value from each list; of no lists, the one empty combination."""
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def for_k(points: Sequence[Args], k: int) -> list[Args]:
    """The points that can hold k hits: a search list `ef` shorter than k is left out."""
    return [point for point in points if point.get("ef", k) >= k]


def _three(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """First, middle and last."""
    return [points[i] for i in sorted({0, len(points) // 2, len(points) - 1})]
