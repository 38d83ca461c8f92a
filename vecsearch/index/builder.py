"""Builds and calibrates an index over rows of a snapshot.

Some rows are held out of the index while it is calibrated, and added afterwards: a query that is
itself in the index finds its neighbors too easily, which overstates the recall.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.index.attached import attach
from vecsearch.index.auto import training_rows
from vecsearch.index.calibration import Calibration
from vecsearch.index.checkpoint import Checkpoint
from vecsearch.index.commit import BuiltIndex
from vecsearch.index.faiss import (
    LOADER,
    DiskIndex,
    FaissIndex,
    resume_growing,
    train_index,
)
from vecsearch.index.growth import MIN_NEW, Extension, decide_extension
from vecsearch.index.measurer import Measurer
from vecsearch.index.recipe import IndexRecipe
from vecsearch.index.scorer import VectorScorer
from vecsearch.index.verify import still_holds
from vecsearch.storage.build_folder import BuildFolder
from vecsearch.storage.limits import DEFAULT_LIMITS, Limits
from vecsearch.storage.snapshot import Snapshot

HELD_OUT = 2000  # rows held out to calibrate with, in a large collection
HELD_OUT_SHARE = 0.1  # in a small collection at most this share of its rows
CHECKED_ROWS = 400  # of the new rows at most, to see whether the previous calibration holds
MIN_QUERIES = 400  # held-out rows are added to fewer given queries, which would prove too little
OWN_QUERIES = "the user's own queries"
HELD_OUT_ROWS = "held-out rows"
NEW_ROWS = " and held-out new rows"  # after what the calibration before an extension used
OLD_NEW_ROWS = " and of those added since"  # the same in manifests of older versions


def extension_queries(new: int, indexed: int) -> int:
    """How many of the new rows an extended index is calibrated with.

    As many for each row as a build takes, but enough to prove something.
    """
    share = HELD_OUT * new // (new + indexed)
    return min(max(share, MIN_QUERIES), HELD_OUT, new // 2)


class Builder:
    """Builds and calibrates one index over rows of a snapshot; commits nothing."""

    def __init__(
        self,
        snapshot: Snapshot,
        recipe: IndexRecipe,
        seed: int,
        threads: int,
        progress: Callable[[int], None],
        *,
        target: float,
        resumable: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Prepare a build.

        Args:
            snapshot: The rows to choose from.
            recipe: What to build.
            seed: Seed of the build.
            threads: Threads to build with.
            progress: Called with the number of rows just added.
            target: The recall the index is for, 0 to 1.
            resumable: Write checkpoints, and resume from those of an interrupted build.
            limits: How many rows are added at a time.
        """
        self.snapshot = snapshot
        self.recipe = recipe
        self.seed = seed
        self.threads = threads
        self.progress = progress
        self.target = target
        self.limits = limits
        self.rng = np.random.default_rng(seed)
        self.attached = attach(snapshot)
        self.scorer = VectorScorer(snapshot)
        self._measurer = Measurer(snapshot, self.scorer, seed, threads)
        self.held_out = HELD_OUT  # at most
        self._resumable = resumable
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def extend_or_run(
        self, rows: Positions, queries: Vectors | None, query_source: str = OWN_QUERIES
    ) -> BuiltIndex:
        """Extend the existing index with the rows added since, or build one over all `rows`."""
        if queries is not None:
            return self.run(rows, queries, query_source, "calibrating on given queries")
        decision = decide_extension(self.snapshot, rows, self.recipe, self.seed, self.batches)
        if decision.extension is None:
            return self.run(rows, None, query_source, decision.reason)
        return self.extend(decision.extension, decision.reason)

    def run(
        self,
        rows: Positions,
        queries: Vectors | None,
        query_source: str = OWN_QUERIES,
        reason: str = "",
    ) -> BuiltIndex:
        """Build an index over `rows` from scratch.

        Args:
            rows: Positions of the rows.
            queries: float32 (nq, dim) to calibrate with; None to use held-out rows.
            query_source: What the queries are, in words.
            reason: Why the index is built from scratch, in words.
        """
        given = self.queries_at(rows[:0]) if queries is None else queries
        wanted = self.held_out if queries is None else MIN_QUERIES - len(given)
        held_out = self._hold_out(rows, wanted)
        base = np.setdiff1d(rows, held_out, assume_unique=True)
        index, resumed = self._train(base)
        queries = np.concatenate([given, self.queries_at(held_out)])
        sources = ((query_source, given), (HELD_OUT_ROWS, held_out))
        calibrated_on = " and ".join(name for name, part in sources if len(part))
        calibration = self.calibrate(index, base, queries, calibrated_on)
        if index.can_extend:
            base = self._include(index, base, held_out)
        return self.built(index, base, calibration, reason, resumed)

    def _include(self, index: FaissIndex, base: Positions, held_out: Positions) -> Positions:
        """Add the rows that were held out; returns the position of each label."""
        if not isinstance(index, DiskIndex):
            self.add(index, held_out)
            return np.concatenate([base, held_out])
        # In the order of positions, so that labels are positions and no table of them is needed.
        labels = np.searchsorted(base, held_out) + np.arange(len(held_out))
        for first in range(0, len(held_out), self.limits.index_batch_rows):
            part = slice(first, first + self.limits.index_batch_rows)
            rows = self.snapshot.stored_vectors(held_out[part])
            index.insert(rows, labels[part], threads=self.threads)
            self.progress(len(rows))
        return np.insert(base, np.searchsorted(base, held_out), held_out)

    def queries_at(self, rows: Positions) -> Vectors:
        """Rows as queries."""
        return self.snapshot.stored_vectors(rows)

    def _hold_out(self, rows: Positions, wanted: int) -> Positions:
        most = max(1, int(len(rows) * HELD_OUT_SHARE))
        return np.sort(self.rng.choice(rows, min(max(wanted, 0), most), replace=False))

    def _train(self, base: Positions) -> tuple[FaissIndex, int]:
        """Train and fill an index; also returns how many rows an interrupted build had added."""
        manifest = self.snapshot.manifest
        size = min(training_rows(self.recipe, len(base), manifest.dim), len(base))
        sample = np.sort(self.rng.choice(base, size, replace=False))
        checkpoint = self._open_checkpoint(self._identity(base, size))
        start = checkpoint.load() if checkpoint else None
        resumed = start.n if start else 0
        index = train_index(
            self.recipe,
            str(manifest.metric),
            manifest.dim,
            lambda: self.batches(base),
            len(base),
            self.snapshot.stored_vectors(sample[:1] if start else sample),
            threads=self.threads,
            seed=self.seed,
            progress=self.progress,
            start=start,
            checkpoint=lambda part: checkpoint.offer(part, len(base)) if checkpoint else None,
            work=BuildFolder(self.snapshot.root) if self.recipe.kind == "disk" else None,
        )
        return index, resumed

    def _open_checkpoint(self, identity: dict[str, object]) -> Checkpoint | None:
        if not self._resumable:
            return None
        return self._resources.enter_context(Checkpoint(self.snapshot.root, identity))

    def _identity(self, base: Positions, training: int) -> dict[str, object]:
        """All that decides what an index of these rows will be."""
        manifest = self.snapshot.manifest
        digest = hashlib.blake2b(np.asarray(base, np.int64).tobytes(), digest_size=16)
        named = {"column": self.snapshot.column} if self.snapshot.column else {}
        return named | {
            "recipe": self.recipe.to_mapping(),
            "seed": self.seed,
            "metric": str(manifest.metric),
            "segments": manifest.row_state,  # positions mean something with their segments only
            "rows": len(base),
            "rows_digest": digest.hexdigest(),
            "training_rows": training,
            "compiled": LOADER.for_rows(len(base)) is not None,
            "faiss": version("faiss-cpu"),
        }

    def extend(self, extension: Extension, reason: str = "") -> BuiltIndex:
        """Add the new rows to the existing index.

        Some new rows are held out, and a few of them tell whether the previous calibration still
        holds for the grown index (`verify.py`). If so it is kept, as it is if few rows are new:
        measuring again would cost as much as in a build, however few rows are new. Else the grown
        index is measured with all of them, and the result merged with the previous calibration,
        which still holds for queries like those it was measured with.

        Each query costs a pass over all rows, old ones too, so their number grows with the share
        of new rows (`extension_queries`). What is promised stays true: a point promises the lower
        end of a confidence interval, which is wider for fewer queries (for 400 instead of 2,000, by
        a factor of 2.2: where the recall of a query varies by 0.05, 0.6 points below the mean
        instead of 0.3). So an extension may ask for a little more effort, never for too little.

        Args:
            extension: The index and the new rows.
            reason: Why it is extended, in words.
        """
        entry, new_rows = extension.entry, extension.new_rows
        previous = self.attached.calibration
        few = len(new_rows) < MIN_NEW
        held_out = new_rows[:0]
        if not few:
            size = min(extension_queries(len(new_rows), entry.rows), self.held_out)
            held_out = np.sort(self.rng.choice(new_rows, size, replace=False))
        labels = np.arange(entry.rows) if self.attached.labels is None else self.attached.labels
        base = np.concatenate([labels, np.setdiff1d(new_rows, held_out, assume_unique=True)])
        index, resumed = self._extend_to(base, extension)
        if few:
            return self.built(index, base, previous, reason, resumed, extended=True)
        calibration = previous
        checked = held_out[:: -(-len(held_out) // CHECKED_ROWS)]
        if not self.still_holds(index, base, self.queries_at(checked), previous):
            before = previous.calibrated_on.removesuffix(OLD_NEW_ROWS).removesuffix(NEW_ROWS)
            measured = self.calibrate(index, base, self.queries_at(held_out), before + NEW_ROWS)
            calibration = measured.merged_with(previous)
        self.add(index, held_out)
        base = np.concatenate([base, held_out])
        return self.built(index, base, calibration, reason, resumed, extended=True)

    def _extend_to(self, base: Positions, extension: Extension) -> tuple[FaissIndex, int]:
        """Add the rows of `base` that the index lacks.

        Also returns how many of them an interrupted build had added.
        """
        index, resumed = extension.index, 0
        identity = self._identity(base, 0) | {"extends": extension.entry.name}
        checkpoint = self._open_checkpoint(identity)
        part = checkpoint.load() if checkpoint else None
        if part is not None:
            resumed = part.n - index.n
            index = resume_growing(part, resumed)
        if isinstance(index, DiskIndex):
            index.work = BuildFolder(self.snapshot.root)
        self.add(index, base[index.n :], checkpoint, len(base))
        return index, resumed

    def add(
        self,
        index: FaissIndex,
        rows: Positions,
        checkpoint: Checkpoint | None = None,
        total: int = 0,
    ) -> None:
        """Add rows to an index, a batch at a time."""
        for batch in self.batches(rows):
            index.add(batch, threads=self.threads)
            self.progress(len(batch))
            if checkpoint:
                checkpoint.offer(index, total)

    def built(
        self,
        index: FaissIndex,
        labels: Positions,
        calibration: Calibration,
        reason: str,
        resumed: int = 0,
        *,
        extended: bool = False,
    ) -> BuiltIndex:
        """The finished index, with what is known of its build."""
        if resumed:
            reason += f"; resumed an interrupted build at row {resumed:,}"
        calibration = replace(
            calibration,
            target=self.target,
            memory_bytes=index.memory_bytes(),
            threads=self.threads,
            seed=self.seed,
        )
        return BuiltIndex(index, labels, self.recipe, calibration, extended, reason)

    def calibrate(
        self, index: FaissIndex, labels: Positions, queries: Vectors, calibrated_on: str
    ) -> Calibration:
        """Measure recall and cost of an index whose labels are these positions."""
        return self._measurer.calibrate(index, labels, queries, calibrated_on)

    def still_holds(
        self, index: FaissIndex, labels: Positions, queries: Vectors, calibration: Calibration
    ) -> bool:
        """Whether queries that are not in an index reach what a calibration promises."""
        made = self._measurer.made(labels[labels >= 0])
        return still_holds(
            self.scorer, index, labels, queries, calibration, self.target, self.threads, made
        )

    def batches(self, rows: Positions) -> Iterator[Vectors]:
        """The stored vectors of rows."""
        step = self.limits.index_batch_rows
        for first in range(0, len(rows), step):
            yield self.snapshot.stored_vectors(rows[first : first + step])
