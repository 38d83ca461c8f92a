"""Build the indexes of a collection, and measure what they would give."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vecsearch.common.accepted import (
    Queries,
)
from vecsearch.common.arguments import (
    check_k,
    check_names,
    check_recall,
    check_whole,
    parse_bytes,
)
from vecsearch.common.gate import gate
from vecsearch.common.memory import trim_heap
from vecsearch.common.progress import progress_bar
from vecsearch.distributed.choice import EngineName, engine_of
from vecsearch.errors import (
    InvalidInputError,
)
from vecsearch.text.analyzer import Analyzer
from vecsearch.types import (
    BuildResult,
)

if TYPE_CHECKING:
    from vecsearch.index.recipe import IndexRecipe
from vecsearch.collection.contents import Contents


@gate
class Indexes(Contents):
    """The part that builds indexes."""

    def build_text_index(
        self,
        columns: Sequence[str] | str | None = None,
        analyzer: str | Mapping[str, Any] | Analyzer | None = None,
        *,
        encoder: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> int:
        """Let documents be found by their words, with `mode="text"` and "hybrid" of `search`.

        Collections whose texts are embedded are made so. This is for others, for other columns, and
        for another analyzer. Documents that are added later are found at once.

        Args:
            columns: The columns of texts to search. None: those that are embedded.
            analyzer: What makes words of texts: a language, whose endings are cut off, or an
                `Analyzer`. None: the default, which knows English endings and reads Chinese,
                Japanese and Korean by pairs of characters.
            encoder: The name or folder of a sparse encoder of sentence-transformers (SPLADE),
                which says what words weigh in texts and queries; a document then scores the
                product of both, instead of BM25. Columns of JSON objects such as
                {"ship": 1.5, "sea": 0.4} hold such weights already: then `encoder` is only for
                queries that are texts, and without it a query is such a dict.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: There is no such column, or it does not hold texts.
            MissingExtraError: What the analyzer needs is not installed.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> _ = c.add_column("title", "string", "On ships")
            >>> _ = c.build_text_index(["title", "text"])
            >>> c.search("title:ship", k=1, mode="text").ids
            ['boat']
        """
        from vecsearch.maintenance.full_text import build_text_index

        self._writable()
        rows = self.refresh()._snapshot.manifest.rows
        with progress_bar("reading texts", rows, progress) as advance:
            return self._changed(build_text_index(self._store, columns, analyzer, encoder, advance))

    def build_index(
        self,
        recipe: str | IndexRecipe = "auto",
        *,
        recall: float | None = None,
        memory: int | str | None = None,
        queries: Queries | None = None,
        using: str | None = None,
        seed: int = 0,
        threads: int | None = None,
        engine: EngineName = None,
        progress: bool | None = None,
    ) -> BuildResult:
        """Build an index and measure the recall it reaches on the collection's own data.

        Others can add and search meanwhile. An interrupted build resumes when it is called again.
        Small collections get no index: exact search is faster there.

        Args:
            recipe: "auto" chooses by size, dimension, `memory` and `recall`. Or a recipe's name
                ("low-latency", "low-memory", ...), the path of a .toml file, an `IndexRecipe`, or a
                FAISS factory string such as "IVF1024,PQ32x4fs".
            recall: The recall that searches deliver by default from now on. None: leave it as it
                is.
            memory: Memory the finished index may take: bytes, or text such as "2GB". A recipe
                that needs more is an error that says how much.
            queries: Queries to measure with: texts, or a float matrix (n, dim); real queries differ
                from documents. "sampled" takes those that `sample_queries` stored. None: rows held
                out of the index while it is measured.
            using: The name of vectors of `create(vectors=)`, to build their index; of several
                vectors a row, recall is that of MaxSim. None: the collection's own vectors.
            seed: Seed of the held-out rows and of the build.
            threads: Threads to use. None: all cores; one for each task of an engine.
            engine: Where the shards are indexed, each by a task of its own: None for one after the
                other in this process, "processes" of this machine, or "ray", the nodes of a Ray
                cluster. All make the same indexes.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            What was built, and the recall it was measured to reach.

        Raises:
            RecipeError: The recipe is wrong, or cannot be built on this data.
            InvalidInputError: An argument is wrong.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.build_index().recipe
            'exact'
        """
        from vecsearch.index.build import build_index
        from vecsearch.index.named import NamedStore

        self._writable()
        manifest = self.refresh()._snapshot.manifest
        recall = None if recall is None else check_recall(recall)
        seed = check_whole("seed", seed, 0)
        threads = None if threads is None else check_whole("threads", threads, 1)
        budget = parse_bytes(memory)
        named = None if using is None else self._by_name("vector", using, 0.0)
        asked, query_source = self._questions(queries, manifest, named)
        if asked is not None and not len(asked):
            raise InvalidInputError(
                "queries is empty",
                hint="give some, or leave queries= out",
                command_hint="give some, or leave --queries out",
            )
        self._store.snapshot(pulled=True).verify()
        store = self._store if named is None else NamedStore(self._store, named.name)
        with progress_bar("building the index", len(self), progress) as advance:
            result = build_index(
                store,
                recipe,
                recall=recall,
                memory=budget,
                queries=asked,
                query_source=query_source,
                seed=seed,
                threads=threads,
                progress=advance,
                engine=engine_of(engine),
            )
        trim_heap()
        return self._changed(result)

    def bench(
        self,
        recipes: Sequence[str],
        *,
        k: int = 10,
        queries: Queries | None = None,
        seed: int = 0,
        progress: bool | None = None,
    ) -> dict[str, Any]:
        """Compare index recipes on this collection: recall, cost, memory and build time.

        Nothing is committed.

        Args:
            recipes: Recipes, as in `build_index`.
            k: Number of hits of each search.
            queries: Queries to measure with, as in `build_index`.
            seed: Seed of the held-out rows and of the builds.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            A report that can be written as JSON.

        Raises:
            RecipeError: A recipe is wrong, or cannot be built on this data.
            InvalidInputError: An argument is wrong.

        Example:
            >>> import numpy as np
            >>> points = vs.create("points.vs", dim=4)
            >>> _ = points.add(np.random.default_rng(0).normal(size=(2000, 4)))
            >>> report = points.bench(["IVF16,Flat"])
            >>> report["rows"]
            2000
        """
        from vecsearch.evaluation.bench import compare_recipes

        recipes, k = check_names("recipes", recipes), check_k(k)
        seed = check_whole("seed", seed, 0)
        asked, _ = self._questions(queries, self._snapshot.manifest)
        with progress_bar("comparing recipes", len(recipes), progress) as advance:
            return compare_recipes(
                self._store,
                recipes,
                k=k,
                queries=asked,
                seed=seed,
                progress=lambda name: advance(1),
            )
