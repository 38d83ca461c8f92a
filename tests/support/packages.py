"""A small real collection: vectors of package summaries, with columns made from the texts."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

import vecsearch as vs

ROWS = 2000


def packages_table(data: Path, rows: int = ROWS) -> pa.Table:
    """Names, summaries, vectors of 384 numbers, and columns of many types with missing values."""
    with (data / "ann" / "package-summaries-50k.tsv").open(encoding="utf-8") as lines:
        next(lines)  # the names of the columns
        pairs = [line.rstrip("\n").split("\t")[:2] for line in itertools.islice(lines, rows)]
    names, summaries = zip(*((pair[0], pair[-1]) for pair in pairs), strict=True)
    vectors = np.load(data / "ann" / "package-summaries-minilm-50k.f16.npy", mmap_mode="r")[:rows]
    flat = pa.array(np.asarray(vectors, np.float32).ravel())
    lengths = [len(text) for text in summaries]
    first = datetime.date(2020, 1, 1)
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "name": list(names),
            "summary": list(summaries),
            "initial": [name[:1].lower() if name[:1].isalpha() else None for name in names],
            "words": [None if n % 17 == 0 else len(s.split()) for n, s in enumerate(summaries)],
            "score": pa.array([length / 7 for length in lengths], pa.float32()),
            "day": [
                None if n % 23 == 0 else first + datetime.timedelta(days=length * 5)
                for n, length in enumerate(lengths)
            ],
            "python": ["python" in text.lower() for text in summaries],
            "tags": pa.array(
                [sorted({w.lower() for w in text.split()[:3]}) for text in summaries],
                pa.list_(pa.string()),
            ),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
    )


def matrix(table: pa.Table) -> npt.NDArray[np.float64]:
    """The vectors in float64."""
    column = table.column("vector").combine_chunks()
    return column.flatten().to_numpy().reshape(table.num_rows, -1).astype(np.float64)


def packages(root: Path, table: pa.Table, metric: str = "cosine") -> vs.Collection:
    """The collection, in three segments, with a few rows deleted and one replaced by itself."""
    collection = vs.create(root, dim=matrix(table).shape[1], metric=metric)
    cuts = (0, 700, 1500, table.num_rows)
    for first, last in itertools.pairwise(cuts):
        collection.add(table.slice(first, last - first))
    collection.upsert(table.slice(5, 1))
    return collection
