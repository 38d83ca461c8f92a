"""Collections larger than the memory there is: ingest, build and search with the system holding
anonymous memory to a limit.

RLIMIT_DATA counts what a process may write to and no file backs: vectors mapped from segments do
not count, whatever copies them does. The limit is what the process takes after one small build,
with libraries loaded and threads started, and a budget that is less than the collection.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SOAK = bool(os.environ.get("VECSEARCH_SOAK"))

LIMITED = """
import itertools, os, resource, sys
from pathlib import Path

import numpy as np
import pyarrow as pa

import vecsearch as vs
from vecsearch.index import auto, builder
from vecsearch.index.kernels.loader import LOADER

folder, rows, dim, recipe, memory, budget, lean = Path(sys.argv[1]), *sys.argv[2:]
rows, dim, budget = int(rows), int(dim), int(budget) << 20
# the parts of fixed size made small, so that a small collection is larger than they are
if lean == "lean":
    limits = vs.Limits(segment_bytes=32 << 20, index_batch_rows=4096)
    for module, name, size in ((builder, "HELD_OUT", 200), (auto, "TRAIN_ROWS", 4096)):
        assert hasattr(module, name), f"{name} has moved: it would be set for nothing"
        setattr(module, name, size)
else:
    limits = vs.Limits()


def batches(rows):
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((200, dim), dtype=np.float32)
    # real vectors vary in fewer directions than they have numbers
    basis = rng.standard_normal((12, dim), dtype=np.float32)
    for first in range(0, rows, 4096):
        count = min(4096, rows - first)
        noise = rng.standard_normal((count, 12), dtype=np.float32) @ basis
        vectors = centres[rng.integers(200, size=count)] + noise
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dim)
        ids, kinds = np.arange(first, first + count), rng.integers(10, size=count)
        yield pa.record_batch({"id": ids, "vector": column, "kind": kinds})


def everything(root, rows):
    with vs.create(root, dim=dim, limits=limits) as c:
        stream = batches(rows)
        first = next(stream)
        chained = itertools.chain([first], stream)
        c.add(pa.RecordBatchReader.from_batches(first.schema, chained), progress=False)
        built = c.build_index(recipe, memory=memory, threads=1, progress=False)
        assert built.rows == rows, built
        recalls, methods = [], []
        for query in c.to_arrow(["vector"], where="id < 20")["vector"].to_pylist():
            exact = c.search(query, exact=True).ids
            recalls.append(len(set(c.search(query).ids) & set(exact)) / 10)
            assert len(c.search(query, where="kind = 3")) == 10
            methods.append(c.search(query, recall=0.5).plan.method)
        # A query is searched exactly if what it finds scores lower than that of all others before.
        assert rows < 100_000 or methods.count("index") >= 18, methods
        return c.info().bytes, float(np.mean(recalls))



def data():
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmData"))
    return int(line.split()[1]) << 10


LOADER.load()  # compiling takes memory, where it was not done before on this machine
everything(folder / "warm.vs", 5000)
before = data()
resource.setrlimit(resource.RLIMIT_DATA, (before + budget, before + budget))
size, recall = everything(folder / "c.vs", rows)
assert size > budget, f"the collection has {size:,} bytes, and the budget is {budget:,}"
try:
    np.ones(size)
    raise AssertionError("the limit does not hold")
except MemoryError:
    pass
print(
    f"{size / 2**20:.0f} MB with a budget of {budget / 2**20:.0f} MB beside "
    f"{before / 2**20:.0f} MB; recall {recall:.3f}"
)
"""

# The small part needs about 210 MB, for a collection of 339.
SMALL = (600_000, 128, "IVF64,PQ64x4fs", "100MB", 230, "lean")
LARGE = (1_000_000, 384, "low-memory", "400MB", 1200, "as it is")


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts mapped memory on Linux only"
)
@pytest.mark.parametrize(
    "sizes",
    [SMALL, pytest.param(LARGE, marks=pytest.mark.skipif(not SOAK, reason="part of make soak"))],
)
def test_a_collection_larger_than_the_memory(sizes: tuple[object, ...], tmp_path: Path) -> None:
    environment = os.environ | {
        # the others reserve address space ahead, which the limit counts
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }
    command = [sys.executable, "-c", LIMITED, str(tmp_path), *map(str, sizes)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=3600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)


COMPACTED = """
import resource, sys
from pathlib import Path

import numpy as np

import vecsearch as vs

ROWS, DIM, BUDGET = 100_000, 256, 40 << 20  # the vectors are 102 MB


def data():
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmData"))
    return int(line.split()[1]) << 10


with vs.create(sys.argv[1], dim=DIM, metric="l2", auto_index=False) as c:
    c.add(np.ones((1000, DIM), np.float32))  # loads what an add and a compaction need
    c.delete([0])
    c.compact()
    for first in range(0, ROWS, 4096):
        count = min(4096, ROWS - first)
        numbers = np.arange(first, first + count, dtype=np.float32)
        c.add([{"id": 1000 + i, "vector": v} for i, v in zip(range(first, first + count),
              numbers[:, None] + np.arange(DIM, dtype=np.float32))])
    c.delete(range(1001, 1000 + ROWS, 3))
    resource.setrlimit(resource.RLIMIT_DATA, (data() + BUDGET,) * 2)
    c.compact()
    assert len(c) == 999 + ROWS - len(range(1001, 1000 + ROWS, 3))
    for n in (0, 2, 50_000, 99_998):
        expected = None if n % 3 == 1 else [n + k for k in range(DIM)]
        found = c.to_arrow(["vector"], ids=[1000 + n])["vector"].to_pylist()
        assert found == ([] if expected is None else [expected]), n
    try:
        np.ones(BUDGET)
        raise SystemExit("the limit does not hold")
    except MemoryError:
        pass
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts mapped memory on Linux only"
)
def test_a_compaction_needs_no_memory_for_its_vectors(tmp_path: Path) -> None:
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", COMPACTED, str(tmp_path / "c.vs")]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
