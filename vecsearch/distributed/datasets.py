"""A version of a collection as a data set of Ray, which its workers read in parallel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecsearch.common.arrays import Positions
from vecsearch.distributed.engines import started_ray
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot, open_snapshot


def rows_at(root: str, version: int, names: Sequence[str], rows: Positions) -> Iterator[pa.Table]:
    """Some rows of a version; runs on a worker."""
    folder = Path(root)
    snapshot = open_snapshot(folder, OpenFiles(folder), version)
    step = snapshot.table_rows(names)
    for first in range(0, len(rows), step):
        yield pa.Table.from_batches([snapshot.take(names, rows[first : first + step])])


def ray_dataset(snapshot: Snapshot, names: Sequence[str], selection: RowSelection) -> Any:
    """A `ray.data.Dataset` of the selected rows, in their order. Nothing is read before it is used.

    Raises MissingExtraError.
    """
    started_ray("to_ray")
    import ray.data
    from ray.data.block import BlockMetadata
    from ray.data.datasource import ReadTask

    schema = snapshot.schema_of(names)
    rows = selection.rows
    size = sum(entry.file.bytes for entry in snapshot.manifest.segments)
    row_bytes = size // max(1, snapshot.rows)

    class CollectionSource(ray.data.Datasource):
        """The rows in as many parts as are asked for."""

        def __init__(self, held: Snapshot) -> None:
            super().__init__()
            self.held: Snapshot | None = held  # so that no garbage collection takes the version

        def __getstate__(self) -> dict[str, Any]:
            return self.__dict__ | {"held": None}

        def estimate_inmemory_data_size(self) -> int:
            return row_bytes * len(rows)

        def get_read_tasks(
            self, parallelism: int, per_task_row_limit: int | None = None, *_: Any, **__: Any
        ) -> list[Any]:
            count = max(1, min(parallelism, len(rows)))
            bounds = [len(rows) * number // count for number in range(count + 1)]
            tasks = []
            for first, stop in pairwise(bounds):
                read = partial(rows_at, root, version, tuple(names), rows[first:stop])
                metadata = BlockMetadata(
                    num_rows=stop - first, size_bytes=row_bytes * (stop - first), exec_stats=None
                )
                tasks.append(
                    ReadTask(read, metadata, schema, per_task_row_limit=per_task_row_limit)
                )
            return tasks

    root, version = str(snapshot.root), snapshot.manifest.version
    return ray.data.read_datasource(CollectionSource(snapshot))
