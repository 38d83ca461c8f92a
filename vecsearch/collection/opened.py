"""What every part of a collection needs: its version, its model, its files."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from vecsearch.common.arguments import (
    check_recall,
)
from vecsearch.common.deadline import is_limited
from vecsearch.common.fork import Lock
from vecsearch.common.gate import gate
from vecsearch.common.memory import trim_heap
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.named_vectors import NamedModels
from vecsearch.embedders.stored import (
    Model,
)
from vecsearch.errors import (
    CollectionClosedError,
    InvalidInputError,
    VecsearchError,
    VersionNotFoundError,
)
from vecsearch.evaluation.query_sample import (
    sampled_queries,
)
from vecsearch.evaluation.search_monitor import SearchMonitor, search_monitor
from vecsearch.ingest.auto import AutoChunker
from vecsearch.ingest.chunking import AnyChunker, FunctionChunker, resolve_chunker, splitting_of
from vecsearch.ingest.splitting import Splitting
from vecsearch.query.encode import QueryEncoder
from vecsearch.query.highlight import Question
from vecsearch.query.named import NamedSearch
from vecsearch.query.rerank import Rerankers, Reranking, no_reranking
from vecsearch.query.searcher import Searcher
from vecsearch.query.shape import Shape
from vecsearch.storage import log
from vecsearch.storage.limits import DEFAULT_LIMITS, Limits
from vecsearch.storage.manifest import EmbedderEntry, Manifest
from vecsearch.storage.objects.places import path_again
from vecsearch.storage.origins import shown as shown_place
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store
from vecsearch.types import (
    DeleteResult,
    UpdateResult,
)

if TYPE_CHECKING:
    from vecsearch.distributed.serving import RayServing
    from vecsearch.index.updating import Indexed

T = TypeVar("T")
Change = TypeVar("Change", DeleteResult, UpdateResult)
Kind = TypeVar("Kind", bound="Opened")
Chunking: TypeAlias = (
    "Literal['auto', 'default'] | bool | int | AnyChunker | Callable[[str], Sequence[Any]] | None"
)
LOCK_TIMEOUT = 60.0


@gate
class Opened:
    """A collection that is open at one version."""

    def __init__(
        self,
        root: Path,
        *,
        version: int | None = None,
        embedder: str | Embedder | None = None,
        chunker: Chunking = None,
        lock_timeout: float = LOCK_TIMEOUT,
        limits: Limits = DEFAULT_LIMITS,
        serving: RayServing | None = None,
    ) -> None:
        self.path = root
        self._serving = serving
        self._store = Store(root, lock_timeout, limits)
        self._pinned = version
        self._lock = Lock()
        self._searcher: Searcher | None = self._searcher_of(self._store.snapshot(version))
        self._last_encoder: QueryEncoder | None = None
        manifest = self._snapshot.manifest
        self._monitor: SearchMonitor | None = (
            search_monitor(None, root, manifest) if version is None else None
        )
        self._given_chunker = chunker
        self._models: dict[EmbedderEntry, Model] = {}
        self._rerankers = Rerankers()
        self._named = NamedModels()
        if manifest.embedder is not None:
            self._models[manifest.embedder] = Model(root, manifest.embedder, manifest.dim, embedder)

    def refresh(self) -> Self:
        """Read the latest version, with what other processes committed.

        A collection opened at a version stays there.

        Returns:
            The collection itself.

        Example:
            >>> with vs.open("notes.vs") as other:
            ...     _ = other.delete("bus")
            >>> len(c), len(c.refresh())
            (3, 2)
        """
        return self._refreshed()

    def _refreshed(self, *, pulled: bool = False) -> Self:
        """`refresh`. `pulled`: whether a local copy was brought up to date just now, as by a commit
        of this object."""
        with self._lock:
            current = self._searching().snapshot
            self._require_in_place()
            if self._pinned is not None:
                return self
            if self._store.latest_version(pulled=pulled) != current.manifest.version:
                self._searcher = self._searcher_of(self._store.snapshot(pulled=True))
                self._monitor = search_monitor(
                    self._monitor, self.path, self._searcher.snapshot.manifest
                )
        return self

    def close(self) -> None:
        """Release the files. Hits found before can still be read.

        Example:
            >>> c.close()
            >>> c
            Collection('.../notes.vs', closed)
        """
        self._store.large_merges.wait()
        with self._lock:
            self._searcher = None
            self._store.files.folder.close()
            if self._monitor is not None:
                self._monitor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """A collection is pickled as its path and version, with a model or chunker of your own."""
        manifest = self._snapshot.manifest
        model = None
        if manifest.embedder is not None and manifest.embedder.spec.endswith(":unsaved"):
            model = self._models[manifest.embedder].loaded_or_name()
        given = self._given_chunker
        chunker = given if isinstance(given, FunctionChunker) or callable(given) else None
        return _reopened, (
            type(self),
            self.path.absolute(),
            shown_place(self.path),
            manifest.version,
            self._pinned is not None,
            {
                "embedder": model,
                "chunker": chunker,
                "lock_timeout": self._store.lock_timeout,
                "limits": self._store.limits,
                "serving": self._serving,
            },
        )

    def __repr__(self) -> str:
        if self._searcher is None:
            return f"Collection({shown_place(self.path)!r}, closed)"
        manifest = self._snapshot.manifest
        return (
            f"Collection({shown_place(self.path)!r}, version={manifest.version}, "
            f"documents={manifest.documents}, dim={manifest.dim})"
        )

    def _searching(self) -> Searcher:
        """The searcher; raises CollectionClosedError if the collection was closed."""
        searcher = self._searcher
        if searcher is None:
            raise CollectionClosedError(
                f"the collection {shown_place(self.path)} was closed",
                hint="open it again with vecsearch.open",
                command_hint="run the command again",
            )
        return searcher

    def _searcher_of(self, snapshot: Snapshot) -> Searcher:
        return Searcher(snapshot) if self._serving is None else self._serving.searcher(snapshot)

    @property
    def _snapshot(self) -> Snapshot:
        return self._searching().snapshot

    def _writable(self) -> Snapshot:
        """The snapshot; raises InvalidInputError if the collection was opened at a version."""
        if self._pinned is not None:
            raise InvalidInputError(
                f"the collection was opened at version {self._pinned}, which is history",
                hint=f"open it without version= to change it, or rollback({self._pinned}) there",
                command_hint="leave --version out to change it, or make that version the latest "
                f"with `vecsearch rollback {self.path} {self._pinned}`",
            )
        return self._snapshot

    def _require_in_place(self) -> None:
        """Raise an error if the folder was moved, removed or replaced since it was opened."""
        folder = self._store.files.folder
        folder.check()
        if not self._snapshot.is_in_place():
            folder.check(log.load(self.path))

    def _changed(self, result: T) -> T:
        """Pass on a result after reading the version that was committed."""
        self._refreshed(pulled=True)
        return result

    @staticmethod
    def _target(recall: float | None, snapshot: Snapshot) -> float:
        if recall is None:
            return snapshot.manifest.recall
        return check_recall(recall)

    def _encoder(self, manifest: Manifest) -> QueryEncoder:
        """The encoder of a version, the same as long as the version is the same."""
        encoder = self._last_encoder
        if encoder is None or encoder.manifest is not manifest:
            encoder = QueryEncoder(manifest, self._model_of(manifest))
            self._last_encoder = encoder
        return encoder

    def _by_name(self, mode: Any, using: Any, diversity: Any) -> NamedSearch | None:
        """What searches by named vectors, if `using` names some."""
        if mode != "vector" or using is None:
            return None
        if diversity:
            raise InvalidInputError(
                "diversity compares hits by the collection's own vectors, and using= searches by "
                "others",
                hint="give diversity= or using=",
                command_hint="give --diversity or --using",
            )
        return NamedSearch(self._searching(), using, self._named)

    def _reranking(self, rerank: Any, top: Any, shape: Shape) -> Reranking | None:
        """How the hits of a search are ranked again, if they are."""
        if rerank is None:
            no_reranking(top)
            return None
        manifest = self._snapshot.manifest
        return self._rerankers.reranking(rerank, top, shape, lambda: self._model_of(manifest))

    def _question(
        self, query: Any, vector: npt.NDArray[np.float32] | None, manifest: Manifest
    ) -> Question:
        """What a search was for, with which its hits say what they have in common with it."""
        return self._encoder(manifest).question(query, vector)

    def _questions(
        self, queries: Any, manifest: Manifest, named: NamedSearch | None = None
    ) -> tuple[Any, str]:
        """Queries to measure with, as the searcher takes them, and what they are; None: rows."""
        if named is not None and queries is not None:
            if isinstance(queries, str) and queries == "sampled":
                raise InvalidInputError(
                    "sampled queries are those of the collection's own vectors",
                    hint="give a list of queries, or leave using= out",
                    command_hint="give a file of queries, or leave --using out",
                )
            return named.prepared(named.encode_many(queries)), "the user's own queries"
        if isinstance(queries, str) and queries == "sampled":
            if self._monitor is not None:
                self._monitor.flush()
            return sampled_queries(self.path, manifest), "queries sampled from searches"
        return (
            None if queries is None else self._encoder(manifest).encode_many(queries)
        ), "the user's own queries"

    def _model_of(self, manifest: Manifest) -> Model | None:
        """The model of a version; `reembed` changes it."""
        if manifest.embedder is None:
            return None
        return self._models.get(manifest.embedder) or self._models.setdefault(
            manifest.embedder, Model(self.path, manifest.embedder, manifest.dim)
        )

    def _splitting(self, manifest: Manifest) -> Splitting | None:
        """How texts are split into passages; None without a chunker."""
        if manifest.chunker is None:
            return None
        given: Any = self._given_chunker
        if given is None or given is False:
            given = manifest.chunker
        chunker = resolve_chunker(given)
        if chunker is None or chunker.to_dict() != dict(manifest.chunker):
            raise InvalidInputError(
                f"the collection was made with the chunker {dict(manifest.chunker)}",
                hint="open it with that one (chunker=)",
                command_hint="use this collection from Python, where the chunker can be given",
            )
        if isinstance(chunker, AutoChunker):
            model = self._model_of(manifest)
            chunker = AutoChunker(lambda: None if model is None else model.embedder)
        return splitting_of(chunker)

    def _with_index(self, result: Change, *, dry_run: bool) -> Change:
        """The result of a change, after what it left outside the indexes was indexed."""
        self._refreshed(pulled=True)
        indexed = None if dry_run else self._index_changes(None, None)
        if indexed is None:
            return result
        return dataclasses.replace(result, version=indexed.version)

    def _index_changes(self, wanted: bool | None, progress: bool | None) -> Indexed | None:
        """Index what a change left outside the indexes, unless that is not wanted.

        The change is committed, so an error here is a warning. With a time limit nothing is
        indexed: that is left to a later change.
        """
        from vecsearch.index.updating import index_all_changes, indexes_changes

        if wanted is None:
            wanted = indexes_changes(self._snapshot.manifest)
        if not wanted or is_limited():
            return None
        try:
            indexed = index_all_changes(self._store, self._snapshot, progress)
        except (VecsearchError, OSError, MemoryError) as error:
            warnings.warn(
                f"the change was committed, but its rows were not indexed: {error}",
                RuntimeWarning,
                stacklevel=4,
            )
            return None
        if indexed is None:
            return None
        trim_heap()
        return self._changed(indexed)


def _reopened(
    kind: type[Kind], root: Path, place: str, version: int, pinned: bool, options: dict[str, Any]
) -> Kind:
    """Open a pickled collection at the version it read, or at the latest if that is gone."""
    root = path_again(root, place)
    collection = kind(root, version=version if pinned else None, **options)
    if not pinned and collection._snapshot.manifest.version != version:
        with contextlib.suppress(VersionNotFoundError):
            collection._searcher = collection._searcher_of(collection._store.snapshot(version))
    return collection
