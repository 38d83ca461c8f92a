"""Search shards that actors of a Ray cluster hold in memory.

An actor opens the part of a version that is in its shards (`Snapshot.of_shards`) and nothing else.
A query goes to one replica of each part; what the parts propose is scored here, so hits, scores and
their order are those of a search without actors. Filters are evaluated here, and a part gets the
mask of its rows; words, facets and columns are read here, too.

An actor that is lost is started again by Ray, on a node that is alive. Until then its replicas
answer. Without one, a search waits, and fails after `patience`; or the answer is partial, if that
was asked for, and says which shards are missing.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.arguments import check_flag, check_seconds, check_whole
from vecsearch.common.arrays import Positions, Scores, Vectors
from vecsearch.common.gate import gate
from vecsearch.distributed.engines import ray_result, started_ray
from vecsearch.errors import WorkerLostError
from vecsearch.query.paths import Found
from vecsearch.query.searcher import Searcher
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot, open_snapshot
from vecsearch.types import Plan

PAUSE = 0.25  # seconds before a lost part is asked again


@gate
@dataclass(frozen=True)
class RayServing:
    """How actors of a Ray cluster hold the shards of a collection, for `vecsearch.open`.

    Attributes:
        parts: Into how many parts the shards are divided; None for one shard in each.
        replicas: How many actors hold each part.
        partial: Whether a search answers without the parts that nobody holds at the moment; then
            `hits.plan.missing_shards` names their shards. Otherwise it waits, and fails.
        patience: Seconds to wait for a part that nobody holds.
        cpus: Processors that an actor takes.

    Raises:
        InvalidInputError: A value is out of range.

    Example:
        >>> import vecsearch as vs
        >>> vs.RayServing(replicas=2).partial
        False
    """

    parts: int | None = None
    replicas: int = 1
    partial: bool = False
    patience: float = 30.0
    cpus: float = 1.0

    def __post_init__(self) -> None:
        if self.parts is not None:
            check_whole("parts", self.parts, 1)
        check_whole("replicas", self.replicas, 1)
        check_flag("partial", self.partial)
        check_seconds("patience", self.patience)
        check_seconds("cpus", self.cpus)

    def searcher(self, snapshot: Snapshot) -> Searcher:
        """A searcher of a version whose shards are held by new actors."""
        return ServedSearcher(snapshot, self)


class ShardHolder:
    """The actor: some shards of one version, with their indexes."""

    def __init__(self, root: str, version: int, shards: Sequence[int]) -> None:
        folder = Path(root)
        self._snapshot = open_snapshot(folder, OpenFiles(folder), version).of_shards(shards)
        self._searcher = Searcher(self._snapshot)

    def rows(self) -> int:
        """How many rows it holds, deleted ones included."""
        return self._snapshot.rows

    def search(
        self,
        queries: Vectors,
        k: int,
        mask: bytes | None,
        recall: float,
        exact: bool,
    ) -> list[tuple[Positions, Scores, Plan]]:
        """The k best rows for each query; positions are those of the part.

        mask: which of its rows may be found, packed; None for all that are not deleted.
        """
        selection = self._snapshot.live
        if mask is not None:
            packed = np.frombuffer(mask, np.uint8)
            chosen = np.unpackbits(packed, count=self._snapshot.rows).astype(bool)
            selection = RowSelection(chosen, int(np.count_nonzero(chosen)))
        if not selection.count:
            empty = Plan("empty", "no row matches", 0)
            none = np.empty(0, np.int64), np.empty(0, np.float32), empty
            return [none for _ in queries]
        found = self._searcher.group(queries, k, selection, recall, exact, 1)
        return [(each.positions, each.scores, each.plan) for each in found]


@dataclass
class _Part:
    """Some shards, which follow one another, and the actors that hold them."""

    shards: range
    start: int
    stop: int
    holders: list[Any]


class ServedSearcher(Searcher):
    """Searches one version, whose shards actors hold. Thread-safe."""

    def __init__(self, snapshot: Snapshot, serving: RayServing) -> None:
        super().__init__(snapshot)
        self._serving = serving
        self._ray = started_ray("serving= of vecsearch.open")
        self._turns = itertools.count()
        actor = self._ray.remote(ShardHolder)
        shards = snapshot.manifest.shards
        parts = min(shards, serving.parts or shards)
        bounds = [shards * number // parts for number in range(parts + 1)]
        owners = np.array([entry.shard for entry in snapshot.manifest.segments], np.int64)
        self._parts = []
        for first, last in itertools.pairwise(bounds):
            holders = [
                actor.options(
                    num_cpus=serving.cpus, max_restarts=-1, scheduling_strategy="SPREAD"
                ).remote(str(snapshot.root), snapshot.manifest.version, range(first, last))
                for _ in range(serving.replicas)
            ]
            start, stop = snapshot.starts[np.searchsorted(owners, [first, last])]
            self._parts.append(_Part(range(first, last), int(start), int(stop), holders))

    def search(
        self, query: Vectors, k: int, selection: RowSelection, recall: float, exact_search: bool
    ) -> Found:
        """As `Searcher.search`."""
        return self.group(query[None], k, selection, recall, exact_search, 1)[0]

    def group(
        self,
        queries: Vectors,
        k: int,
        selection: RowSelection,
        recall: float,
        exact_search: bool,
        threads: int,
    ) -> list[Found]:
        """As `Searcher.group`: every part is asked, and what they propose is scored here.

        Raises WorkerLostError.
        """
        k = min(k, selection.count or 1)
        turn = next(self._turns)
        asked = []
        for part in self._parts:
            mask = None
            if selection.mask is not None:
                mask = np.packbits(selection.mask[part.start : part.stop]).tobytes()
            call = queries, k, mask, recall, exact_search
            holder = part.holders[turn % len(part.holders)]
            asked.append((part, call, holder.search.remote(*call)))
        answers: list[tuple[int, Any]] = []
        missing: list[int] = []
        for part, call, reference in asked:
            answer = self._answer(part, call, reference, turn)
            if answer is None:
                missing += part.shards
            else:
                answers.append((part.start, answer))
        return [
            self._gathered(
                query, k, [(start, found[number]) for start, found in answers], tuple(missing)
            )
            for number, query in enumerate(queries)
        ]

    def _answer(self, part: _Part, call: tuple[Any, ...], reference: Any, turn: int) -> Any:
        """What a part found; None if nobody holds it and a partial answer will do."""
        deadline = time.monotonic() + self._serving.patience
        for attempt in itertools.count(1):
            try:
                return ray_result(self._ray, reference)
            except WorkerLostError as error:
                tried_all = attempt >= len(part.holders)
                if tried_all and self._serving.partial:
                    return None
                if tried_all and time.monotonic() > deadline:
                    raise WorkerLostError(
                        f"nobody holds the shards {', '.join(map(str, part.shards))} of "
                        f"{self.snapshot.root}",
                        hint="wait until Ray has started their actors again, hold more replicas, "
                        "or ask for partial answers: RayServing(partial=True)",
                        command_hint="wait until Ray has started their actors again",
                    ) from error
                if tried_all:
                    time.sleep(PAUSE)
                holder = part.holders[(turn + attempt) % len(part.holders)]
                reference = holder.search.remote(*call)
        raise AssertionError

    def _gathered(
        self,
        query: Vectors,
        k: int,
        found: Sequence[tuple[int, tuple[Positions, Scores, Plan]]],
        missing: tuple[int, ...],
    ) -> Found:
        """The k best rows of all parts, by their scores here."""
        plans = [plan for _, (_, _, plan) in found]
        rows = np.concatenate(
            [np.empty(0, np.int64), *(start + positions for start, (positions, _, _) in found)]
        )
        scores, rows = self.scorer.final_one(query, rows, k)
        head = next((plan for plan in plans if plan.method in ("index", "scan")), None)
        head = head or next(iter(plans), Plan("empty", "no shard answered", 0))
        whole = replace(
            head,
            rows=sum(plan.rows for plan in plans),
            expected_recall=min((plan.expected_recall for plan in plans), default=0.0),
            unindexed_rows=sum(plan.unindexed_rows for plan in plans),
            parts=tuple(plans) if len(plans) > 1 and head.method in ("index", "scan") else (),
            missing_shards=missing,
        )
        return Found(rows, scores, whole)
