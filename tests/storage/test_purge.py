"""After `compact(purge=True)` no file holds anything of a deleted row, nor interrupted work."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from support.data import clustered

import vecsearch as vs
from vecsearch.embedders.toy import ToyEmbedder
from vecsearch.embedders.words import WordEmbedder
from vecsearch.index.faiss import read_index
from vecsearch.maintenance.check import find_damage
from vecsearch.storage import disk, log
from vecsearch.storage.ids import as_ids

ROWS, DIM, GONE = 300, 32, 123


def content(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


def stored(root: Path) -> npt.NDArray[np.float32]:
    """The vector of row GONE as it lies in its segment."""
    with vs.open(root) as c:
        _, positions = c._snapshot.locate(
            as_ids([GONE], c._snapshot.manifest.schema.field("id").type)
        )
        return c._snapshot.stored_vectors(positions)[0]


def code(root: Path, label: int) -> bytes:
    """What the index keeps of one of its rows."""
    import faiss

    index = read_index(root / log.load(root).indexes[0].files[0].name, mmap=False)
    codes = faiss.vector_to_array(faiss.downcast_index(index._index.storage).codes).reshape(
        index.n, -1
    )
    at = label if index._order is None else int(np.flatnonzero(index._order == label)[0])
    return codes[at].tobytes()


@pytest.fixture
def c(root: Path) -> Iterator[vs.Collection]:
    with vs.create(root, dim=DIM, limits=vs.Limits(smallest_index_rows=100)) as c:
        vectors = clustered(ROWS, DIM)
        c.add(
            [
                {"id": n, "vector": v, "note": f"note-{n}-", "n": 10**15 + n}
                for n, v in enumerate(vectors)
            ]
        )
        yield c


@pytest.mark.parametrize("compacted_before", [False, True])
@pytest.mark.parametrize("recipe", ["auto", "HNSW8,SQ8", "IVF4,Flat"])
def test_a_purge_removes_vectors_and_codes_of_deleted_rows(
    c: vs.Collection, recipe: str, compacted_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if an earlier compaction removed the row, and only the index still holds its code."""
    if recipe == "auto":
        made = vs.IndexRecipe(name="graph", kind="hnsw", code="sq8", M=8, ef_construction=40)
        c.build_index(made)
    else:
        c.build_index(recipe)
    vector = stored(c.path)
    traces = [b"note-123-", (10**15 + GONE).to_bytes(8, "little"), vector.tobytes()]
    if recipe == "auto":
        label = next(
            n
            for n in range(ROWS)
            if np.array_equal(c._snapshot.stored_vectors(np.array([label_row(c, n)]))[0], vector)
        )
        traces.append(code(c.path, label))
    assert all(trace in content(c.path) for trace in traces)
    c.delete([GONE])
    if compacted_before:
        c.compact()
        assert c.info().indexes  # an ordinary compaction keeps it
    c.compact(purge=True)
    left = content(c.path)
    assert not any(trace in left for trace in traces)
    assert not c.info().indexes and list((c.path / "indexes").iterdir()) == []
    assert [item.operation for item in c.versions()] == ["compact"]
    c.build_index("HNSW8,SQ8")
    assert (
        vector.tobytes() not in content(c.path) and len(c) == ROWS - 1 and find_damage(c.path) == []
    )


def label_row(c: vs.Collection, label: int) -> int:
    labels = c._searching().attached.labels
    return label if labels is None else int(labels[label])


def test_a_purge_keeps_an_index_without_deleted_rows(c: vs.Collection) -> None:
    c.build_index("HNSW8")
    c.add([{"id": 1000, "vector": np.ones(DIM), "note": "late", "n": 0}])
    c.compact(purge=True)
    assert c.info().indexes and len(c.versions()) == 1
    c.delete([GONE])
    c.build_index("HNSW8")  # extends the index, which still holds the code of the deleted row
    c.compact(purge=True)
    assert not c.info().indexes


def test_a_purge_removes_the_key_of_a_deleted_id(root: Path) -> None:
    c = vs.create(root, dim=2)
    c.add([{"id": "秘密 key", "vector": [1, 2]}, {"id": "other", "vector": [2, 1]}])
    key = blake2b("秘密 key".encode(), digest_size=8).digest()
    assert key in content(root)
    c.delete(["秘密 key"])
    c.compact(purge=True)
    assert key not in content(root) and "秘密".encode() not in content(root)


def test_a_purge_removes_replaced_and_updated_values(root: Path) -> None:
    c = vs.create(root, embedder="toy:16")
    c.add(
        [
            {"id": 1, "text": "the first wording", "note": "old-note"},
            {"id": 2, "text": "two", "note": "x"},
        ]
    )
    c.add([{"id": 1, "text": "another wording", "note": "old-note"}], on_conflict="replace")
    c.update("id = 1", {"note": "new-note"})
    assert b"the first wording" in content(root) and b"old-note" in content(root)
    c.compact(purge=True)
    left = content(root)
    assert b"the first wording" not in left and b"old-note" not in left and b"new-note" in left


def test_a_purge_removes_values_that_were_overwritten(root: Path) -> None:
    c = vs.create(root, dim=2)
    c.add([{"id": 1, "vector": [1, 2]}, {"id": 2, "vector": [1, 2]}])
    c.add_column("tag", "string", "tag-of-all")
    c.update(None, {"tag": "later"})
    c.compact(purge=True)
    assert b"tag-of-all" not in content(root)


class Failing(ToyEmbedder):
    """Embeds one window, then is interrupted."""

    calls = 0

    def embed_documents(self, texts: list[str]) -> npt.NDArray[np.float32]:
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt
        return super().embed_documents(texts)


def test_a_purge_removes_interrupted_work(root: Path) -> None:
    """Vectors that an interrupted add keeps, and a dead writer's files."""
    vs.create(root, embedder="toy:16").close()
    c = vs.open(root, embedder=Failing(16), limits=vs.Limits(window_rows=4))
    with pytest.raises(KeyboardInterrupt):
        c.add([{"id": n, "text": f"interrupted text {n}"} for n in range(8)])
    vector = ToyEmbedder(16).embed_documents(["interrupted text 1"])[0].astype(np.float32)
    assert vector.tobytes() in content(root)
    dead = root / "staging" / "work-dead"
    dead.mkdir()
    (dead / "LOCK").touch()
    (dead / "x.arrow").write_bytes(b"half a segment")
    c.compact(purge=True)
    left = content(root)
    assert vector.tobytes() not in left and b"half a segment" not in left
    assert list((root / "staging").iterdir()) == []


def test_a_purge_removes_the_sample_of_queries(c: vs.Collection) -> None:
    c.sample_queries(50)
    query = np.zeros(DIM, np.float32)
    query[:2] = 0.6, 0.8
    for _ in range(3):
        c.search(query, k=1)
    c.close()
    assert query.tobytes() in content(c.path)
    with vs.open(c.path) as again:
        again.compact(purge=True)
    assert query.tobytes() not in content(c.path)


def test_a_purge_syncs_every_folder_that_it_removed_from(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was removed would come back after a power loss otherwise."""
    words = WordEmbedder(["a", "b"], np.eye(2, dtype=np.float32))
    synced: list[str] = []
    real = disk.sync_folder

    def sync(folder: Path) -> None:
        synced.append(Path(folder).name)
        real(folder)

    with vs.create(root, embedder=words) as c:
        c.add([{"id": 1, "text": "a"}, {"id": 2, "text": "b"}])
        c.delete([1])
        monkeypatch.setattr(disk, "sync_folder", sync)
        c.compact(purge=True)
    last = synced[-4:]
    assert set(last) == {"segments", "indexes", "staging", "models"}


def test_a_reader_that_nobody_uses_any_more_holds_nothing(c: vs.Collection, root: Path) -> None:
    """An older version that only a cycle of references keeps, as frames of an exception do."""

    def lose_a_reader() -> None:
        lost: list[object] = [vs.open(root)]
        lost.append(lost)

    gc.disable()
    try:
        lose_a_reader()
        c.delete([GONE])
        c.compact(purge=True)
    finally:
        gc.enable()
    assert [version.version for version in c.versions()] == [c.info().version]
    with vs.open(root) as reader:  # one that is used does
        c.delete([GONE + 1])
        with pytest.raises(vs.ConflictError, match=f"still hold version {reader.info().version}"):
            c.compact(purge=True)


def test_an_error_that_is_kept_holds_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a notebook keeps the last one: after a full disk, a purge is asked for again."""
    root = tmp_path / "c.vs"
    with vs.create(root, dim=2) as c:
        for n in range(3):
            c.add([{"id": n, "vector": [1.0, n]}])
        c.delete([1])
    with monkeypatch.context() as full, vs.open(root) as c:

        def no_room(*_: object) -> None:
            raise vs.StorageError(28, "the disk is full")

        full.setattr(disk, "require_space", no_room)
        with pytest.raises(vs.StorageError, match="full") as kept:
            c.compact(purge=True)
    with vs.open(root) as c:
        c.compact(purge=True)
        assert len(c.versions()) == 1 and len(c) == 2
    assert kept.value.__traceback__ is not None
