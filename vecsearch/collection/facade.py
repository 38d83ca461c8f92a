"""A collection on disk: the parts of this package in one class.

Each part is a class of methods that belong together. They check arguments and call one package,
which does the work.
"""

from __future__ import annotations

from vecsearch.collection.changes import Changes
from vecsearch.collection.indexes import Indexes
from vecsearch.collection.measurements import Measurements
from vecsearch.collection.pages import Pages
from vecsearch.collection.recommendations import Recommendations
from vecsearch.collection.upkeep import Upkeep
from vecsearch.collection.whole import Whole


class Collection(Changes, Recommendations, Pages, Whole, Measurements, Indexes, Upkeep):
    """Documents and their vectors on disk, searched by similarity.

    `vecsearch.create` and `vecsearch.open` make collections. A collection reads one version (a
    snapshot): it sees its own changes at once, and those of other processes after `refresh`. It is
    safe to use from several threads, and a context manager that closes it.

    The examples of the methods use this collection.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("notes.vs", embedder="toy:64")
        >>> c.add([
        ...     {"id": "boat", "text": "a small boat on the lake", "year": 1999},
        ...     {"id": "ship", "text": "a large ship at sea", "year": 2021},
        ...     {"id": "bus", "text": "a red bus in town", "year": 2003},
        ... ])
        AddResult(added=3, replaced=0, skipped=0, embedded=3, version=2)
        >>> c.search("a large ship", k=1).ids
        ['ship']
    """
