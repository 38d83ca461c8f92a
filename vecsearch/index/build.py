"""Snapshot + recipe → trained, calibrated index → one commit.

Building runs unlocked on a snapshot, while adding and searching go on. Some rows are held out while the index is
calibrated and added afterwards. The commit looks at the latest version again: rows added meanwhile stay outside the index
(they are searched exactly), rows moved by a merge are found again by id.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Positions, Scores, Vectors
from vecsearch.errors import ConflictError
from vecsearch.index.attached import attach
from vecsearch.index.auto import choose_recipe, training_rows
from vecsearch.index.calibrate import Truth, calibrate_codes, calibrate_index
from vecsearch.index.calibration import (
    OperatingPoint,
    describe_recall,
    merge_calibrations,
    operating_points,
)
from vecsearch.index.checkpoint import Checkpoint
from vecsearch.index.costs import code_micros, row_micros
from vecsearch.index.faiss import (
    LOADER,
    NO_MASK,
    FaissIndex,
    Request,
    read_index,
    resume_growing,
    train_index,
)
from vecsearch.index.growth import FEWEST_NEW, growth
from vecsearch.index.recipe import IndexRecipe
from vecsearch.index.scorer import VectorScorer
from vecsearch.storage.disk import require_space
from vecsearch.storage.garbage import remove_build_checkpoints
from vecsearch.storage.layout import INDEXES
from vecsearch.storage.limits import DEFAULT_LIMITS, Limits
from vecsearch.storage.manifest import IndexEntry
from vecsearch.storage.rebase import rebase_positions
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store
from vecsearch.types import BuildResult, Metric

HELD_OUT = 2000  # rows the recall is measured with, where there are that many
FEWEST_OWN = 400  # fewer own queries show too little: held-out rows join them, for a few perfect answers promise nothing
HELD_OUT_SHARE = 0.1  # of a small collection at most this share
ADDED_SINCE = " and of those added since"


def build_index(
    store: Store,
    recipe: str | IndexRecipe,
    *,
    recall: float | None,
    memory: int | None,
    queries: Vectors | None,
    query_source: str = "the user's own queries",
    seed: int,
    threads: int | None,
    progress: Callable[[int], None] = lambda count: None,
) -> BuildResult:
    """Build an index over the live rows and commit it, with the recall it was measured to reach.

    recall: becomes the collection's own target. memory: bytes the index may take. queries: float32 (nq, dim), as stored (unit
    length for cosine), to calibrate on instead of held-out rows; asked_with says what they are.
    Raises RecipeError, InvalidInputError, StorageError, LockTimeoutError.
    """
    started = time.perf_counter()
    snapshot = store.snapshot()
    manifest = snapshot.manifest
    target = manifest.recall if recall is None else recall
    rows = snapshot.live.rows
    made = choose_recipe(recipe, snapshot, memory, target, seed)
    if made.kind == "exact" or len(rows) < store.limits.smallest_index_rows:
        why = (
            "exact search is fastest for so few rows"
            if made.kind != "exact" or recipe == "auto"
            else "the recipe says so"
        )
        return _without_index(store, target, started, f"no index: {why}")
    builder = Builder(
        snapshot,
        made,
        seed,
        threads or os.cpu_count() or 1,
        progress,
        resumable=True,
        limits=store.limits,
    )
    with builder:
        extended, why = (
            builder.extend(rows) if queries is None else (None, "calibrating on given queries")
        )
        index, labels, points, calibrated_on = extended or builder.run(rows, queries, query_source)
        measured = {
            "target": target,
            "calibrated_on": calibrated_on,
            "queries": builder.asked,
            "surface": [list(astuple(point)) for point in points],
            "exact_micros_per_row": builder.exact_micros_per_row,
            "codes": builder.codes,
            "memory_bytes": index.memory_bytes(),
            "threads": builder.threads,
            "seed": seed,
        }
        entry, version = commit(store, snapshot, index, labels, made, measured, target)
    with contextlib.suppress(
        OSError
    ):  # the index is committed: what is left over waits for a later commit
        remove_build_checkpoints(store.root)
    return BuildResult(
        made.name,
        len(labels),
        time.perf_counter() - started,
        sum(ref.bytes for ref in entry.files),
        index.memory_bytes(),
        calibrated_on,
        describe_recall(points, target),
        version,
        "extended" if extended else "built",
        why
        + (
            f"; went on from {builder.resumed:,} rows of an interrupted build"
            if builder.resumed
            else ""
        ),
    )


def commit(
    store: Store,
    snapshot: Snapshot,
    index: FaissIndex,
    labels: Positions,
    recipe: IndexRecipe,
    measured: dict[str, object],
    target: float,
) -> tuple[IndexEntry, int]:
    """Write an index whose labels are positions of `snapshot`, and commit it on whatever is the latest version by then."""
    with store.staging() as staging:
        require_space(staging.folder, index.memory_bytes())
        files = (staging.write(INDEXES, ".faiss", index.write),)
        with store.locked() as latest:
            if (latest.manifest.embedder, latest.manifest.dim) != (
                snapshot.manifest.embedder,
                snapshot.manifest.dim,
            ):
                raise ConflictError(
                    "the collection was moved to another model while the index was being built: build it again"
                )
            placed = rebase_positions(snapshot, latest, labels)
            placed[
                index.out_of_range
            ] = (
                -1
            )  # outside what the index can represent: searched exactly, like rows it has not seen
            plain = np.array_equal(placed, np.arange(len(placed)))
            entry = IndexEntry(
                name=files[0].name,
                files=files,
                covers=tuple(item.name for item in latest.manifest.segments),
                rows=len(labels),
                recipe=asdict(recipe),
                calibration=measured,
                labels=None if plain else staging.write_rows(INDEXES, ".labels.arrow", placed),
            )
            version = latest.manifest.next("build_index", indexes=(entry,), recall=target)
            store.commit(staging, version)
    return entry, version.version


class Builder:
    """Builds and calibrates one index over some rows of a snapshot."""

    def __init__(
        self,
        snapshot: Snapshot,
        recipe: IndexRecipe,
        seed: int,
        threads: int,
        progress: Callable[[int], None],
        *,
        resumable: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """resumable: keep what is done in staging, and go on from what an interrupted build left there."""
        self.snapshot = snapshot
        self.recipe = recipe
        self.seed = seed
        self.threads = threads
        self.limits = limits
        self.progress = progress
        self.rng = np.random.default_rng(seed)
        self.attached = attach(snapshot)
        self.scorer = VectorScorer(snapshot)
        self.asked = 0
        self.exact_micros_per_row = 0.0
        self.codes: dict[str, Any] = {}
        self.resumed = 0
        self._resumable = resumable
        self._checkpoint = contextlib.ExitStack()

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, *_: object) -> None:
        self._checkpoint.close()

    def run(
        self, rows: Positions, queries: Vectors | None, query_source: str = "the user's own queries"
    ) -> tuple[FaissIndex, Positions, list[OperatingPoint], str]:
        """The index over `rows`, the position of each label, its operating surface, and what that was measured on."""
        manifest = self.snapshot.manifest
        own = np.empty((0, manifest.dim), np.float32) if queries is None else queries
        wanted = HELD_OUT if queries is None else max(0, FEWEST_OWN - len(own))
        held = np.sort(
            self.rng.choice(
                rows, min(wanted, max(1, int(len(rows) * HELD_OUT_SHARE))), replace=False
            )
        )
        calibrated_on = " and ".join(
            [query_source] * bool(len(own)) + ["held-out rows"] * bool(len(held))
        )
        queries = np.concatenate([own, self.snapshot.stored_vectors(held)])
        base = np.setdiff1d(rows, held, assume_unique=True)
        sample = np.sort(
            self.rng.choice(
                base,
                min(training_rows(self.recipe, len(base), manifest.dim), len(base)),
                replace=False,
            )
        )
        checkpoint = self._checkpoint.enter_context(
            Checkpoint(self.snapshot.root, self._identity(base, len(sample)))
        )
        start = checkpoint.load() if self._resumable else None
        self.resumed = start.n if start else 0
        index = train_index(
            self.recipe,
            str(manifest.metric),
            manifest.dim,
            lambda: self._batches(base),
            len(base),
            self.snapshot.stored_vectors(sample[:1] if start else sample),
            threads=self.threads,
            seed=self.seed,
            progress=self.progress,
            start=start,
            checkpoint=(lambda part: checkpoint.offer(part, len(base)))
            if self._resumable
            else lambda part: None,
        )
        points = self.calibrate(index, base, queries)
        if index.can_extend:
            self._grow(index, held)
            base = np.concatenate([base, held])
        return index, base, points, calibrated_on

    def _identity(self, base: Positions, sample: int) -> dict[str, object]:
        """All that decides what an index of these rows will be; positions mean something with the segments only."""
        manifest = self.snapshot.manifest
        return {
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            "metric": str(manifest.metric),
            "segments": manifest.row_state,
            "rows": len(base),
            "rows_digest": hashlib.blake2b(
                np.asarray(base, np.int64).tobytes(), digest_size=16
            ).hexdigest(),
            "training_rows": sample,
            "compiled": LOADER.for_rows(len(base)) is not None,
            "faiss": version("faiss-cpu"),
        }

    def extend(
        self, rows: Positions
    ) -> tuple[tuple[FaissIndex, Positions, list[OperatingPoint], str] | None, str]:
        """Add the rows that came since to the index there is, or None where building anew is due; and why.

        Some of the new rows are held out to calibrate the grown index, and the surface measured before goes on to hold for
        queries like those it was measured with; where few are new, it stands alone.
        """
        entry = self.attached.entry
        if entry is None:
            return None, "there was no index"
        grown = growth(self.snapshot)
        why = grown.anew(entry, self.recipe, self.seed)
        if why:
            return None, why
        index = read_index(self.snapshot.root / entry.files[0].name, mmap=False)
        if not index.can_extend:
            return None, "this kind of index cannot be added to"
        labels = np.arange(entry.rows) if self.attached.labels is None else self.attached.labels
        unindexed = np.intersect1d(self.attached.unindexed_rows, rows)
        unindexed = unindexed[
            np.concatenate([index.covers(batch) for batch in self._batches(unindexed)])
        ]  # the others stay outside
        if not len(unindexed):
            return (
                None,
                f"the {grown.new:,} rows outside the index lie outside what it was fitted to",
            )
        few = len(unindexed) < FEWEST_NEW
        held = (
            unindexed[:0]
            if few
            else np.sort(
                self.rng.choice(unindexed, min(HELD_OUT, len(unindexed) // 2), replace=False)
            )
        )
        base = np.concatenate([labels, np.setdiff1d(unindexed, held, assume_unique=True)])
        identity = self._identity(base, 0) | {"extends": entry.name}
        checkpoint = self._checkpoint.enter_context(Checkpoint(self.snapshot.root, identity))
        part = checkpoint.load() if self._resumable else None
        if part is not None:
            self.resumed = part.n - len(labels)
            index = resume_growing(part, self.resumed)
        self._grow(
            index,
            base[index.n :],
            lambda: checkpoint.offer(index, len(base)) if self._resumable else None,
        )
        why = f"{len(unindexed):,} new rows were added to the index there was"
        if few:
            self.asked, self.exact_micros_per_row = (
                entry.calibration["queries"],
                entry.calibration["exact_micros_per_row"],
            )
            self.codes = dict(entry.calibration.get("codes", {}))
            return (
                index,
                base,
                list(operating_points(entry.calibration)),
                entry.calibration["calibrated_on"],
            ), why
        points = self.calibrate(index, base, self.snapshot.stored_vectors(held))
        points = merge_calibrations(operating_points(entry.calibration), points)
        by_codes = merge_calibrations(
            operating_points(entry.calibration.get("codes", {})), operating_points(self.codes)
        )
        self.codes["surface"] = [list(astuple(point)) for point in by_codes]
        self._grow(index, held)
        measured_with = entry.calibration["calibrated_on"].removesuffix(ADDED_SINCE) + ADDED_SINCE
        return (index, np.concatenate([base, held]), points, measured_with), why

    def _grow(
        self, index: FaissIndex, rows: Positions, selection: Callable[[], None] = lambda: None
    ) -> None:
        for batch in self._batches(rows):
            index.add(batch, threads=self.threads)
            self.progress(len(batch))
            selection()

    def calibrate(
        self, index: FaissIndex, labels: Positions, queries: Vectors
    ) -> list[OperatingPoint]:
        """Measure the operating surface of an index whose labels are these positions."""
        self.asked = len(queries)
        mask = np.zeros(self.snapshot.rows, bool)
        mask[labels[labels >= 0]] = True
        present = int(np.count_nonzero(mask))
        selection = RowSelection(mask, present)
        truth = Truth.of(
            queries,
            present,
            lambda some, k: self.scorer.search(some, k, selection, self.threads)[0],
        )
        self.exact_micros_per_row = row_micros(self.snapshot.manifest.dim)
        score = self._score_lists(labels)
        self.codes = {
            "surface": [
                list(astuple(point))
                for point in calibrate_codes(index, queries, truth, score, self.threads)
            ]
        }
        self.codes["micros_per_row"] = code_micros(index.code_bytes)
        return calibrate_index(
            index,
            queries,
            truth,
            score,
            present,
            self.exact_micros_per_row,
            self.threads,
            self._compiled_search(index, labels),
        )

    def _score_lists(self, labels: Positions) -> Callable[[Scores, Positions], Scores]:
        row_map = np.append(labels, -1)  # of the label -1 too
        return lambda some, found: self.scorer.score_lists(
            some, row_map[found], self.threads if len(some) > 1 else 1
        )

    def _compiled_search(
        self, index: FaissIndex, labels: Positions
    ) -> Callable[[Scores, int, int], object] | None:
        """One search as the compiled walk does it, to be timed; None where FAISS will search."""
        compiled, graph_search, table = (
            LOADER.for_rows(len(labels)) or LOADER.module,
            index.graph_search,
            self.scorer.table,
        )
        if compiled is None or graph_search is None or table is None:
            return None
        row_map, none = index.row_map(labels), np.empty(0, np.int64)
        euclidean = self.snapshot.manifest.metric is Metric.L2
        return lambda query, depth, effort: graph_search.search(
            compiled,
            query,
            min(10, depth),
            Request(row_map, NO_MASK, none, *table, euclidean, effort, depth, depth, 0),
        )

    def _batches(self, rows: Positions) -> Iterator[npt.NDArray[np.float32]]:
        step = self.limits.index_batch_rows
        for start in range(0, len(rows), step):
            yield self.snapshot.stored_vectors(rows[start : start + step])


def _without_index(store: Store, target: float, started: float, message: str) -> BuildResult:
    with store.locked() as latest:
        version = latest.manifest.version
        if latest.manifest.indexes or latest.manifest.recall != target:
            following = latest.manifest.next("build_index", indexes=(), recall=target)
            store.commit(None, following)
            version = following.version
    return BuildResult("exact", 0, time.perf_counter() - started, 0, 0, "", message, version)
