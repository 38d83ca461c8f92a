"""What happens beside the searches of a collection that samples its queries."""

from __future__ import annotations

from pathlib import Path

from vecsearch.common.arrays import Vectors
from vecsearch.evaluation.query_sample import QuerySampler, sample_kind, sample_size
from vecsearch.evaluation.recall_watch import RecallWatch
from vecsearch.query.searcher import Searcher
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.selection import RowSelection


class SearchMonitor(QuerySampler):
    """Samples the queries of one collection, and watches the recall of its searches."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        super().__init__(root, manifest)
        self.watch = RecallWatch()
        self._settings = (sample_size(manifest), sample_kind(manifest))

    def fits(self, manifest: Manifest) -> bool:
        """Whether it can go on with a version: its sample size and kind are the same."""
        return self._settings == (sample_size(manifest), sample_kind(manifest))

    def note(
        self,
        searcher: Searcher,
        queries: Vectors,
        k: int,
        selection: RowSelection,
        target: float,
        *,
        exact: bool,
    ) -> None:
        """Sample queries after a search, and perhaps check the search's recall.

        Args:
            searcher: What was searched.
            queries: float32, shape (n, dim), as they are compared; the first one may be checked.
            k: The number of hits.
            selection: The rows that could be found.
            target: The recall that was asked for.
            exact: Whether the search was exact, so that its recall needs no check.
        """
        self.offer(queries)
        if not exact:
            self.watch.observe(searcher, queries[0], k, selection, target)


def search_monitor(
    current: SearchMonitor | None, root: Path, manifest: Manifest
) -> SearchMonitor | None:
    """The monitor for a version: the current one if it fits; None without sampling."""
    if current is not None and current.fits(manifest):
        return current
    if current is not None:
        if not sample_size(manifest):
            current.forget()
        current.close()
    return SearchMonitor(root, manifest) if sample_size(manifest) else None
