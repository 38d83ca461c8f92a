"""An inverted file whose lists stay on disk: for collections many times the memory.

The centroids are in memory. A list is one range of the file: the codes of its rows, then their
labels. A search finds the nearest centroids, has the system read their lists at once, and compares
the codes. The file is in FAISS's own format (IndexIVF over ArrayInvertedLists), mapped.

Rows are added in runs: FAISS assigns and encodes a block of rows in memory, the block's lists are
written to the end of a file, and in the end the runs of each list are written one after the other.
So memory is bounded by a run, whatever the number of rows, and each code is written twice, and at
most once more in a checkpoint.

Codes are half a byte or a byte for each component of the difference to the centroid, in the range
of the sample; or those of RaBitQ (Gao and Long, arXiv:2405.12497) with several bits a component
(Gao et al., arXiv:2409.09913). Measured at 96 components: half bytes propose as well as RaBitQ's
three bits, are a seventh shorter, and encode seven times as fast.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Labels, Vectors
from vecsearch.common.mapped import will_need
from vecsearch.errors import CorruptedError, InvalidInputError
from vecsearch.index.exact import omp_threads, threads_for
from vecsearch.index.faiss.graph import BLOCK
from vecsearch.index.faiss.graph_search import RowMap
from vecsearch.index.faiss.index import Distances, FaissIndex
from vecsearch.index.faiss.projection import Projection
from vecsearch.index.faiss.sound import require_one_list_a_row
from vecsearch.index.faiss.writing import write_errors
from vecsearch.index.recipe import IndexRecipe
from vecsearch.storage.build_folder import BuildFolder

RUN_BYTES = 64 * 1024 * 1024  # of codes and labels in memory, before they are written as a run
EMPTY_LISTS = 32  # bytes at the end of a serialized index without rows: the description of no lists
LIST_MICROS = 1.0  # what a list takes beside its codes
NO_DISTANCE = float(np.finfo(np.float32).max)
Sizes = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]


class _Run(NamedTuple):
    """The lists of some rows in two files: codes, and labels."""

    codes: Codes
    labels: Labels
    starts: Sizes  # of each list, and the end of the last

    def of(self, number: int) -> tuple[Codes, Labels]:
        part = slice(int(self.starts[number]), int(self.starts[number + 1]))
        return self.codes[part], self.labels[part]


class ListRuns:
    """Rows on their way into lists: encoded, sorted by list, and written run by run."""

    def __init__(self, encoder: Any, folder: BuildFolder) -> None:
        """encoder: a trained IndexIVF without rows. folder: where the runs are written."""
        self.encoder = encoder
        self.folder = folder
        self._runs: list[_Run] = []
        self._paths: list[Path] = []
        self._held = 0  # rows in the encoder
        row_bytes = int(encoder.code_size) + 8
        self._most = max(BLOCK, RUN_BYTES // row_bytes)

    def add(self, rows: Vectors, labels: Labels) -> None:
        """Add projected rows with their labels."""
        self.encoder.add_with_ids(rows, labels)
        self._held += len(rows)
        if self._held >= self._most:
            self._spill()

    def finished(self) -> list[_Run]:
        """All runs, mapped."""
        if self._held:
            self._spill()
        return self._runs

    def remove(self) -> None:
        """Remove the files of the runs."""
        for path in self._paths:
            path.unlink()
        self._runs, self._paths = [], []

    def _spill(self) -> None:
        lists, nlist = self.encoder.invlists, int(self.encoder.nlist)
        sizes = np.array([lists.list_size(number) for number in range(nlist)], np.int64)
        width = int(self.encoder.code_size)
        name = uuid.uuid4().hex
        paths = [self.folder.path / f"{name}.{part}" for part in ("codes", "labels")]
        self._paths += paths
        with write_errors(paths[0]), paths[0].open("wb") as codes, paths[1].open("wb") as labels:
            for number in np.flatnonzero(sizes).tolist():
                size = int(sizes[number])
                codes.write(faiss.rev_swig_ptr(lists.get_codes(number), size * width))
                labels.write(faiss.rev_swig_ptr(lists.get_ids(number), size))
        self._runs.append(
            _Run(
                np.memmap(paths[0], np.uint8, "r", shape=(self._held, width)),
                np.memmap(paths[1], np.int64, "r", shape=(self._held,)),
                np.concatenate([[0], np.cumsum(sizes)]),
            )
        )
        self.encoder.reset()
        self._held = 0


class DiskIndex(FaissIndex):
    """An inverted file with its lists on disk; see the module.

    Rows that are added wait in runs. The next search, or `write`, puts them into lists.

    Attributes:
        work: Where added rows wait; None while nothing is added.
    """

    on_disk = True

    def __init__(
        self,
        recipe: IndexRecipe,
        metric: str,
        projection: Projection,
        index: Any,
        out_of_range: Labels,
        path: Path | None = None,
        lists: int = 0,
    ) -> None:
        """Wrap FAISS's index.

        Args:
            recipe: What was built.
            metric: "cosine", "ip" or "l2".
            projection: What is stored of a vector.
            index: A trained IndexIVF without rows, or one that is mapped from its file.
            out_of_range: Labels of rows that it may not find.
            path: The file; None for one without rows.
            lists: Where its lists begin in the file.
        """
        self._own_outside, self._new_outside = out_of_range, out_of_range[:0]
        super().__init__(recipe, metric, projection, index, None, out_of_range, mapped=True)
        self.work: BuildFolder | None = None
        self._runs: ListRuns | None = None
        self._inserted = np.empty(0, np.int64)  # labels of added rows among those of all
        if path is None:
            self._head = faiss.serialize_index(index).tobytes()[:-EMPTY_LISTS]
        else:
            with path.open("rb") as file:
                self._head = file.read(lists - EMPTY_LISTS - 8 * int(index.nlist))
        self._use(index, path)

    def _use(self, index: Any, path: Path | None) -> None:
        self._index, self.path = index, path
        self._quantizer = faiss.downcast_index(index.quantizer)
        lists, numbers = index.invlists, range(int(index.nlist))
        self._sizes = np.array([lists.list_size(number) for number in numbers], np.int64)
        self._starts = np.array(
            [int(lists.get_codes(number)) if self._sizes[number] else 0 for number in numbers],
            np.int64,
        )
        self._stops = self._starts + self._sizes * (int(index.code_size) + 8)

    @property
    def n(self) -> int:
        return int(self._index.ntotal) + len(self._inserted)

    @property
    def can_extend(self) -> bool:
        """Whether `add` works: always, as it changes no file."""
        return True

    @property
    def out_of_range(self) -> Labels:
        moved = _moved(self._own_outside, self._inserted)
        return np.sort(np.concatenate([moved, self._new_outside]))

    @out_of_range.setter
    def out_of_range(self, labels: Labels) -> None:
        self._own_outside, self._new_outside = labels, labels[:0]

    def candidates(
        self, queries: Vectors, depth: int, effort: int, threads: int = 1, row_map: RowMap = None
    ) -> tuple[Labels, Vectors]:
        labels, distances, _ = self._search(queries, depth, effort, threads)
        if row_map is not None:
            labels = row_map[labels].astype(np.int64)
        return labels, distances

    def estimated(
        self, queries: Vectors, depth: int, effort: int, threads: int = 1
    ) -> tuple[Labels, Distances, float]:
        labels, distances, lists = self._search(queries, depth, effort, threads)
        compared = self._sizes[lists[lists >= 0]].sum() / len(queries)
        row_micros = 0.012 + 0.0005 * self.code_bytes
        cost = 20 + LIST_MICROS * lists.shape[1] + row_micros * float(compared)
        return labels, distances.astype(np.float64), cost

    def _search(
        self, queries: Vectors, depth: int, effort: int, threads: int
    ) -> tuple[Labels, Vectors, Labels]:
        """Labels, distances, and the lists that were read."""
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise InvalidInputError(
                f"queries have shape {queries.shape}; this index takes (queries, {self.dim})"
            )
        self.settle()  # only a build adds rows, and it searches in one thread
        projected = np.ascontiguousarray(self._projection.queries(queries), np.float32)
        count, nprobe = len(projected), min(effort, int(self._index.nlist))
        near, lists = np.empty((count, nprobe), np.float32), np.empty((count, nprobe), np.int64)
        distances = np.empty((count, depth), np.float32)
        labels = np.empty((count, depth), np.int64)
        wide = None
        if isinstance(self._quantizer, faiss.IndexHNSW):
            wide = faiss.SearchParametersHNSW(efSearch=max(64, 2 * nprobe))
        pointer = faiss.swig_ptr  # this frame keeps the arrays alive while FAISS uses them
        with omp_threads(threads_for(count, threads)):
            self._quantizer.search_c(
                count, pointer(projected), nprobe, pointer(near), pointer(lists), wide
            )
            read = np.unique(lists[lists >= 0])
            read = read[self._sizes[read] > 0]
            will_need(self._starts[read], self._stops[read])
            self._index.search_preassigned_c(
                *(count, pointer(projected), depth, pointer(lists), pointer(near)),
                *(pointer(distances), pointer(labels), False),
                faiss.SearchParametersIVF(nprobe=nprobe),
            )
        if labels.size and not (labels.min() >= -1 and labels.max() < self._index.ntotal):
            raise CorruptedError(
                f"{self.path} is damaged: a list names rows that are not there. "
                "Build the index again"
            )
        if self._projection.inner_product:
            np.negative(distances, out=distances)
        distances[labels < 0] = NO_DISTANCE
        return labels, distances, lists

    def add(self, vectors: Vectors, *, threads: int = 1) -> None:
        """Append rows, labeled from `n` on."""
        self.insert(vectors, np.arange(self.n, self.n + len(vectors)), threads=threads)

    def insert(self, vectors: Vectors, labels: Labels, *, threads: int = 1) -> None:
        """Add rows between those that are there, whose labels make way.

        Args:
            vectors: float32 (rows, dim).
            labels: What the labels of these rows are among those of all, int64, ascending; also
                over several calls that belong together.
            threads: OpenMP threads to use.

        Raises:
            InvalidInputError: The vectors have another shape.
            StorageError: The disk is full or cannot be written.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise InvalidInputError(
                f"vectors have shape {vectors.shape}; this index takes (rows, {self.dim})"
            )
        if len(labels) and len(self._inserted) and labels[0] < self._inserted[-1]:
            self.settle()
        if self._runs is None:
            assert self.work is not None
            self._runs = ListRuns(_from_head(self._head, self._index), self.work)
        with omp_threads(threads):
            for first in range(0, len(vectors), BLOCK):
                part = slice(first, first + BLOCK)
                self._runs.add(self._projection.rows(vectors[part]), labels[part])
        outside = labels[~self.covers(vectors)]
        self._new_outside = np.concatenate([self._new_outside, outside])
        self._inserted = np.sort(np.concatenate([self._inserted, labels]))

    def settle(self) -> None:
        """Put the rows that wait into lists, in a file of the folder where they wait."""
        if self._runs is None:
            return
        assert self.work is not None
        before, path = self.path, self.work.path / f"{uuid.uuid4().hex}.faiss"
        self.write(path)
        outside = self.out_of_range
        self._runs.remove()
        self._runs, self._inserted = None, np.empty(0, np.int64)
        self.out_of_range = outside
        self._use(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), path)
        if before is not None and before.parent == path.parent:
            before.unlink()

    def require_whole(self) -> None:
        """Read all labels in the lists. Raises CorruptedError if they are not those of the rows."""
        try:
            rows = int(self._index.ntotal)
            require_one_list_a_row(self._index.invlists, self._sizes.tolist(), rows)
        except ValueError as error:
            raise CorruptedError(f"{self.path}: {error}. Build the index again") from error

    def memory_bytes(self) -> int:
        """Bytes the index keeps in memory: all but its lists."""
        arrays = (self.out_of_range, self._sizes, self._starts, self._stops)
        parts = (self._projection.matrix, self._projection.offset, self._projection.center)
        centroids = int(self._quantizer.ntotal) * int(self._quantizer.d) * 4
        links = 0
        if isinstance(self._quantizer, faiss.IndexHNSW):
            links = self._quantizer.hnsw.neighbors.size() * 4
        own = sum(array.nbytes for array in (*arrays, *parts) if array is not None)
        return centroids + links + own

    def write(self, path: Path) -> None:
        runs = [] if self._runs is None else self._runs.finished()
        lists = 0
        with write_errors(path), path.open("wb") as file:
            for piece in self._pieces(runs):
                file.write(piece)
                lists = lists or file.tell()
        self._write_trailer(path, lists=lists)

    def write_part(self, path: Path) -> None:
        """Write it with the rows that are there; those that wait go on waiting."""
        self.write(path)

    def _pieces(self, runs: Sequence[_Run]) -> Iterator[Any]:
        """The bytes of the file in order; the first piece is all before the lists."""
        index, inserted = self._index, self._inserted
        width, nlist = int(index.code_size), int(index.nlist)
        sizes = self._sizes + sum((np.diff(run.starts) for run in runs), np.zeros(nlist, np.int64))
        head = _from_head(self._head, index)
        head.ntotal = int(sizes.sum())
        parts = [
            faiss.serialize_index(head).tobytes()[:-EMPTY_LISTS],
            b"ilar",
            np.array([nlist, width], np.uint64).tobytes(),
            b"full",
            np.array([nlist], np.uint64).tobytes(),
            sizes.astype(np.uint64).tobytes(),
        ]
        yield b"".join(parts)
        lists = index.invlists
        for number in range(nlist):
            size = int(self._sizes[number])
            listed = [run.of(number) for run in runs]
            if size:
                yield faiss.rev_swig_ptr(lists.get_codes(number), size * width)
            yield from (codes for codes, _ in listed)
            if size:
                yield _moved(faiss.rev_swig_ptr(lists.get_ids(number), size), inserted)
            yield from (labels for _, labels in listed)


def _moved(labels: Labels, inserted: Labels) -> Labels:
    """The labels of rows after others, whose labels these are, were inserted between them."""
    if not len(inserted):
        return labels
    gaps = inserted - np.arange(len(inserted))
    return np.asarray(labels + np.searchsorted(gaps, labels, side="right"))


def _from_head(head: bytes, index: Any) -> Any:
    """A trained IndexIVF without rows, from the first bytes of the file of `index`."""
    nothing = np.array([index.nlist, index.code_size], np.uint64).tobytes()
    whole = head + b"ilar" + nothing + b"sprs" + bytes(8)
    empty = faiss.deserialize_index(np.frombuffer(whole, np.uint8))
    empty.ntotal = 0
    return empty


def centroids_in_two_levels(sample: Vectors, count: int, seed: int, spherical: bool) -> Vectors:
    """Centroids of a sample: k-means of its parts, which k-means makes.

    The time is that of 2 sqrt(count) centroids for each row of the sample, not of `count`.
    """
    dim = sample.shape[1]
    options = {"niter": 10, "seed": seed + 1, "spherical": spherical, "min_points_per_centroid": 1}
    coarse = faiss.Kmeans(dim, round(count**0.5), max_points_per_centroid=256, **options)
    coarse.train(sample)
    parts = coarse.index.search(sample, 1)[1][:, 0]
    rows = np.bincount(parts, minlength=coarse.k)
    shares = _shares(rows, count)
    order, ends = np.argsort(parts, kind="stable"), np.cumsum(rows)
    found = []
    for end, size, share in zip(ends.tolist(), rows.tolist(), shares.tolist(), strict=True):
        if share:
            part = np.ascontiguousarray(sample[order[end - size : end]])
            fine = faiss.Kmeans(dim, share, max_points_per_centroid=256, **options)
            fine.train(part)
            found.append(fine.centroids.copy())
    return np.concatenate(found)


def _shares(rows: Sizes, count: int) -> Sizes:
    """`count` divided in proportion to these numbers, none of which is exceeded."""
    exact = rows * (count / rows.sum())
    shares: Sizes = np.minimum(np.floor(exact).astype(np.int64), rows)
    order = np.argsort(shares - exact, kind="stable")
    while (missing := count - int(shares.sum())) > 0:
        room = order[shares[order] < rows[order]][:missing]
        shares[room] += 1
    return shares
