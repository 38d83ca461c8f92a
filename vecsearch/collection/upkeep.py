"""Keep a whole collection up: its files, its versions, its model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

from vecsearch.common.accepted import (
    Ids,
    Judgments,
    Queries,
    Questions,
    StorageOptions,
    Where,
)
from vecsearch.common.arguments import (
    check_k,
    check_shards,
    check_whole,
)
from vecsearch.common.gate import gate
from vecsearch.common.memory import trim_heap
from vecsearch.common.progress import progress_bar
from vecsearch.distributed.choice import EngineName, embedding_on
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.stored import (
    Model,
    has_fingerprint,
)
from vecsearch.errors import (
    InvalidInputError,
)
from vecsearch.maintenance import compact, versions
from vecsearch.storage.folders import folder_path
from vecsearch.storage.objects.places import collection_path, new_file, read_again
from vecsearch.types import (
    DimensionReport,
    ReembedResult,
)

if TYPE_CHECKING:
    from vecsearch.maintenance.check import Damage
from vecsearch.collection.opened import Opened


@gate
class Upkeep(Opened):
    """The part that keeps files, versions and the model up."""

    def compact(self, *, purge: bool = False) -> int:
        """Merge small segments and drop deleted rows. Search results stay the same.

        Args:
            purge: Also remove older versions, so that no file holds anything of deleted rows.

        Returns:
            The version that was committed.

        Raises:
            ConflictError: Readers still hold older versions, so they could not be purged.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> _ = c.delete("bus")
            >>> _ = c.compact(purge=True)
            >>> c.info().deleted_rows
            0
        """
        self._writable()
        version = self._changed(compact.compact(self._store, purge))
        if purge:
            if self._monitor is not None:
                self._monitor.forget()
            self._store.purge()
        trim_heap()
        return version

    def reshard(self, shards: int) -> int:
        """Divide the documents among another number of shards. Search results stay the same.

        Searches go on meanwhile, and writers wait. Indexes are built again, by the same recipe.
        See `create` for what shards are.

        Args:
            shards: How many shards there are to be, 1 to 1024.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: `shards` is out of range.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> _ = c.reshard(4)
            >>> c.info().shards
            4
        """
        from vecsearch.maintenance.reshard import reshard

        self._writable()
        version = self._changed(reshard(self._store, check_shards(shards)))
        trim_heap()
        return version

    def rollback(self, version: int) -> int:
        """Make an older version the latest again, as a new version.

        Args:
            version: A version that `versions` lists.

        Returns:
            The version that was committed.

        Raises:
            VersionNotFoundError: The version was never committed, or is no longer kept.

        Example:
            >>> _ = c.delete("boat")
            >>> c.rollback(2)
            4
            >>> len(c)
            3
        """
        self._writable()
        return self._changed(versions.rollback(self._store, version))

    def check(self) -> list[Damage]:
        """Compare every file of every version with its checksum.

        `vecsearch.repair` rebuilds damaged files that derive from documents.

        Returns:
            What is damaged and how to fix it; empty if nothing is.

        Raises:
            StorageError: The files cannot be read.

        Example:
            >>> c.check()
            []
        """
        from vecsearch.maintenance.check import find_damage

        self._require_in_place()
        with read_again(self.path) as root:
            return find_damage(root)

    def backup(
        self, target: str | os.PathLike[str], *, storage_options: StorageOptions | None = None
    ) -> int:
        """Copy the version that this object reads to a new folder, and verify every byte.

        Others may write meanwhile. A backup is a collection: `vecsearch.open` opens it, and
        `vecsearch.restore` makes another collection of it.

        Args:
            target: The new folder, or a URL.
            storage_options: Of a URL, as in `vecsearch.create`.

        Returns:
            The version that was copied.

        Raises:
            CollectionExistsError: Something is at the target.
            CorruptedError: A file is damaged.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.backup("monday.vs")
            2
            >>> vs.restore("monday.vs", "restored.vs")
            3
        """
        from vecsearch.maintenance.backup import write_backup

        self._require_in_place()
        root = collection_path(target, storage_options)
        return write_backup(self.path, root, self._snapshot.manifest.version)

    def export(
        self,
        target: str | os.PathLike[str],
        *,
        where: Where | None = None,
        columns: Sequence[str] | None = None,
        ids: Ids | None = None,
        storage_options: StorageOptions | None = None,
    ) -> int:
        """Write documents, with columns and vectors, to one file: all, or some of them.

        The ending of its name says how: .parquet, .csv, .jsonl (JSON lines) or .arrow (an Arrow IPC
        file). `vecsearch.restore` makes a collection of a Parquet file, and `add` reads each of
        them. In CSV and JSON lines, dates and times are in ISO 8601, bytes in base64, and CSV has
        nested values and vectors as JSON text. A null is an empty cell of CSV, and an empty text is
        `""`; `add` reads both as null. Of a chunked collection, a Parquet file holds passages, the
        others whole documents without vectors. A Parquet file of chosen columns is like the others:
        it holds whole documents, and `restore` does not take it.

        Args:
            target: Path or URL of the new file.
            where: The documents to write, as a filter; None for all. With a chunker, a filter on
                the text sees whole documents here.
            columns: The columns to write, in this order, such as ["id", "vector"]. None: all.
            ids: The ids of documents to write, as in `search`, in the collection's order.
            storage_options: Of a URL, as in `vecsearch.create`.

        Returns:
            Number of rows written.

        Raises:
            CollectionExistsError: Something is at the target.
            InvalidInputError: The ending is another, a column does not exist, or the format cannot
                hold one, such as NaN in CSV and JSON lines.
            FilterError: The filter is wrong.
            CorruptedError: A file is damaged.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.export("notes.parquet"), c.export("notes.jsonl")
            (3, 3)
            >>> c.export("old.csv", where="year < 2010", columns=["id", "year"])
            2
            >>> print(open("old.csv").read(), end="")
            "id","year"
            "boat",1999
            "bus",2003
        """
        from vecsearch.maintenance.export import export

        self._require_in_place()
        version = self._snapshot.manifest.version
        with new_file(target, storage_options) as file:
            return export(self.path, file, version, where, columns, ids)

    def reembed(
        self,
        embedder: str | Embedder,
        *,
        engine: EngineName = None,
        progress: bool | None = None,
    ) -> ReembedResult:
        """Embed every text again with another model. Ids, texts, metadata and passages stay.

        One call is one commit: searches use the old model until then, and documents that others add
        or delete meanwhile are not lost. An interrupted call resumes when it is repeated. Indexes
        are dropped; `build_index` makes a new one. `rollback` brings the old model back.

        Args:
            embedder: The new model's name, or an `Embedder`.
            engine: Where texts are embedded, as in `add`.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            How many documents there are, and how many passages were embedded.

        Raises:
            InvalidInputError: A document has a vector but no text.
            EmbedderError: The model cannot be loaded or failed.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.reembed("toy:32")
            ReembedResult(documents=3, embedded=3, version=3)
            >>> c.info().dim
            32
        """
        from vecsearch.maintenance.reembed import reembed_documents

        manifest = self._writable().manifest
        model = resolve_embedder(embedder)
        spread = embedding_on(engine, embedder)
        with progress_bar("embedding again", manifest.rows - manifest.deleted, progress) as advance:
            result = self._changed(reembed_documents(self._store, model, advance, spread))
        now = self._snapshot.manifest
        if now.embedder is not None and has_fingerprint(model, now.embedder.fingerprint):
            self._models[now.embedder] = Model(self.path, now.embedder, now.dim, model)
        return result

    def dimensions(
        self,
        dims: Sequence[int] | None = None,
        *,
        k: int = 10,
        queries: Questions | Queries | None = None,
        qrels: Judgments | None = None,
        n_queries: int = 500,
        seed: int = 0,
        progress: bool | None = None,
    ) -> DimensionReport:
        """Measure what fewer dimensions cost: bytes of a vector against recall@k and nDCG@k.

        Two ways are compared: principal component analysis, and truncation (for models trained with
        Matryoshka representation learning, Kusupati et al., NeurIPS 2022). PCA is fitted on other
        rows than recall is measured on.

        Args:
            dims: Dimensions to measure. None: the usual ones.
            k: Depth of recall@k and nDCG@k.
            queries: Texts or vectors, query id -> text, a file, or a folder in the BEIR layout.
                None: rows held out of the collection.
            qrels: Relevance judgments: a file, or query id -> document id -> grade. None: no nDCG.
            n_queries: Number of rows to hold out.
            seed: Seed of the choice of rows.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            One point for each method and dimension.

        Raises:
            InvalidInputError: An argument is wrong, or there are too few rows.

        Example:
            >>> import numpy as np
            >>> points = vs.create("points.vs", dim=8)
            >>> _ = points.add(np.random.default_rng(0).normal(size=(200, 8)))
            >>> [(point.method, point.dim) for point in points.dimensions([4]).points]
            [('full', 8), ('pca', 4), ('truncate', 4)]
        """
        from vecsearch.evaluation.dimensions import measure_dimensions, read_judged

        n_queries, seed = check_whole("n_queries", n_queries, 1), check_whole("seed", seed, 0)
        snapshot = self._snapshot
        asked, judged = (
            (None, None) if queries is None and qrels is None else read_judged(queries, qrels)
        )
        vectors = None if asked is None else self._encoder(snapshot.manifest).encode_many(asked)
        if vectors is not None and not len(vectors):
            raise InvalidInputError(
                "queries is empty",
                hint="give some, or leave queries= out",
                command_hint="give some, or leave --queries out",
            )
        total = snapshot.live.count * (2 if judged else 1)
        with progress_bar("measuring dimensions", total, progress) as advance:
            return measure_dimensions(
                snapshot, dims, check_k(k), vectors, judged, n_queries, seed, advance
            )

    def reduce(
        self,
        path: str | os.PathLike[str],
        dim: int,
        *,
        method: Literal["pca", "truncate"] = "pca",
        seed: int = 0,
        progress: bool | None = None,
    ) -> Self:
        """Copy the collection to a new one with fewer dimensions.

        The projection becomes part of the new collection's embedder: texts and vectors of the full
        dimension that are added or searched for are projected too. `dimensions` measures the cost.

        Args:
            path: Folder of the new collection.
            dim: Its dimension, from 1 to one less than the current one.
            method: "pca" (principal component analysis) or "truncate" (keep the first numbers).
            seed: Seed of the rows that PCA is fitted on.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            The new collection.

        Raises:
            InvalidInputError: An argument is wrong, or the collection is empty.
            CollectionExistsError: Something is at the path.
            StorageError: The disk is full or read-only.

        Example:
            >>> with c.reduce("small.vs", 16, method="truncate") as small:
            ...     small.info().dim
            16
        """
        from vecsearch.maintenance.reduce import write_reduced

        seed = check_whole("seed", seed, 0)
        snapshot = self._snapshot
        with progress_bar("projecting", snapshot.live.count, progress) as advance:
            embedder = write_reduced(
                snapshot,
                self._model_of(snapshot.manifest),
                folder_path(path),
                dim,
                method,
                seed,
                advance,
                self._store.limits,
            )
        return type(self)(
            folder_path(path),
            embedder=embedder,
            chunker=self._given_chunker,
            lock_timeout=self._store.lock_timeout,
            limits=self._store.limits,
        )
