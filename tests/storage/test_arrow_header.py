"""Compressed Arrow files are refused by their headers, before anything is unpacked."""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from tests.support import forge
from vecsearch.evaluation.query_sample import read_sample
from vecsearch.ingest.vector_cache import VectorCache, digest, text_key
from vecsearch.storage.arrow_header import require_uncompressed
from vecsearch.storage.layout import STAGING

GOLDEN = Path(__file__).parents[1] / "golden"
BATCHES = [
    pa.record_batch({"x": np.zeros(1000), "text": ["a"] * 1000}),
    pa.record_batch({"x": pa.array([[1, 2], None]), "y": pa.array([{"a": [b"x"]}, None])}),
    pa.record_batch({"x": pa.array(["a" * 40, None], pa.string_view())}),
    pa.record_batch({"x": pa.array([], pa.int64())}),
]


def arrow_file(batches: list[pa.RecordBatch], **options: object) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(**options)
    with pa.ipc.new_file(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()


@pytest.mark.parametrize("number", range(len(BATCHES)))
@pytest.mark.parametrize("legacy", [False, True])
def test_only_compressed_files_are_refused(number: int, legacy: bool) -> None:
    plain = BATCHES[number]
    for batches in ([plain], [plain, plain]):
        require_uncompressed(
            pa.py_buffer(arrow_file(batches, use_legacy_format=legacy)),
        )
    for codec in ("zstd", "lz4"):
        for batches in ([plain], [plain, plain]):
            content = arrow_file(batches, compression=codec, use_legacy_format=legacy)
            with pytest.raises(ValueError, match="it is compressed"):
                require_uncompressed(pa.py_buffer(content))


def test_dictionaries_are_refused() -> None:
    batch = pa.record_batch({"x": pa.array(["a"]).dictionary_encode()})
    with pytest.raises(ValueError, match="dictionaries"):
        require_uncompressed(pa.py_buffer(arrow_file([batch])))


def test_every_arrow_file_of_the_golden_collections_passes() -> None:
    files = list(GOLDEN.rglob("*.arrow"))
    assert len(files) > 10
    for path in files:
        require_uncompressed(pa.py_buffer(path.read_bytes()))


def test_damaged_headers_are_a_value_error() -> None:
    content, rng = arrow_file([BATCHES[1]]), random.Random(7)
    for _ in range(5000):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            near = rng.randrange(min(400, len(damaged)))
            damaged[near if rng.random() < 0.5 else len(damaged) - 1 - near] = rng.randrange(256)
        cut = rng.randrange(len(damaged)) if rng.random() < 0.2 else len(damaged)
        with contextlib.suppress(ValueError):
            require_uncompressed(pa.py_buffer(bytes(damaged[:cut])))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return forge.make(tmp_path_factory.mktemp("bombs") / "whole.vs")


def bomb(content: bytes, rows: int) -> bytes:
    """The file with its columns as `rows` zeros, which take little room when compressed."""
    schema = pa.ipc.open_file(content).schema
    arrays = []
    for field in schema:
        kind = field.type
        if pa.types.is_fixed_size_list(kind):
            array = pa.FixedSizeListArray.from_arrays(
                pa.array(np.zeros(rows * kind.list_size, np.float32)).cast(kind.value_type),
                type=kind,
            )
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            array = pa.array(np.zeros(rows)).cast(kind)
        else:
            array = pa.array([None] * rows, kind) if field.nullable else pa.array([""] * rows, kind)
        arrays.append(array)
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    return arrow_file([batch], compression="zstd")


READ = """
import sys, warnings
import numpy as np, pyarrow as pa, vecsearch as vs
warnings.simplefilter("ignore")
for root in sys.argv[1:]:
    try:
        with vs.open(root) as c:
            c.search(np.ones(8), k=3)
            c.get(["id 1"])
            c.check()
    except vs.CorruptedError as error:
        assert "compressed" in str(error), error
print(pa.default_memory_pool().max_memory())
"""


def test_a_bomb_takes_no_memory(whole: Path, tmp_path: Path) -> None:
    """In a process of its own, in whose memory pool nothing else has been."""
    kinds = {"segment": "", "ids": ".ids", "deleted": ".dead", "row map": ".labels"}
    roots, rows = [], 2_000_000
    for kind, suffix in kinds.items():
        root = shutil.copytree(whole, tmp_path / f"{kind}.vs")
        names = [
            path.relative_to(root).as_posix()
            for path in sorted(root.rglob("*.arrow"))
            if path.name.partition(".")[2] == f"{suffix}.arrow".lstrip(".")
        ]
        assert names
        for name in names:
            content = bomb((root / name).read_bytes(), rows)
            assert len(content) < rows
            forge.replace_file(root, name, content)
        roots.append(str(root))
    before = pa.default_memory_pool().max_memory()
    pa.ipc.open_file(content).get_batch(0)
    assert pa.default_memory_pool().max_memory() >= max(before, 8 * rows)  # so much is in it
    done = subprocess.run(
        [sys.executable, "-c", READ, *roots], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2 * rows


def test_a_packed_sample_of_queries_is_not_unpacked(tmp_path: Path) -> None:
    vectors = np.zeros((10, 4), np.float32)
    np.savez(tmp_path / "sample.npz", seen=np.int64(10), vectors=vectors, kind=np.str_("k"))
    assert read_sample(tmp_path, 4, "k")[0] == 10
    with zipfile.ZipFile(tmp_path / "sample.npz") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "sample.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert read_sample(tmp_path, 4, "k")[0] == 0


def test_packed_vectors_of_an_interrupted_add_are_not_unpacked(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:8")
    entry = c._snapshot.manifest.embedder
    cache = VectorCache(c.path, entry, 8)
    batch = pa.record_batch(
        {
            "key": pa.array([text_key("a")], pa.binary()),
            "vector": pa.array([[1.0] * 8], pa.list_(pa.float32(), 8)),
        }
    )
    for codec, found in ((None, True), ("zstd", False)):
        content = arrow_file([batch], compression=codec)
        shutil.rmtree(cache.folder, ignore_errors=True)
        cache.folder.mkdir(parents=True)
        assert cache.folder.parent.name == STAGING
        (cache.folder / f"{digest(content)}.arrow").write_bytes(content)
        assert bool(VectorCache(c.path, entry, 8).find(["a"])) is found
