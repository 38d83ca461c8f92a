"""Given vectors are read as they are, with their ids: .npy, HDF5, torch layers, other indexes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.errors import InvalidInputError, MissingExtraError
from vecsearch.ingest.sources import open_source
from vecsearch.ingest.vector_column import vector_matrix

VECTORS = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
OWN_IDS = (np.random.default_rng(1).permutation(400) * 7 + 1000).astype(np.int64)


def table(data: object, batch_rows: int = 64) -> pa.Table:
    source = open_source(data, batch_rows=batch_rows)
    batches = list(source.batches)
    assert all(0 < batch.num_rows <= batch_rows for batch in batches)
    found = pa.Table.from_batches(batches)
    assert source.total == found.num_rows
    return found


def matrix(found: pa.Table) -> npt.NDArray[Any]:
    column = found["vector"].combine_chunks()
    return np.asarray(column.flatten()).reshape(len(column), -1)


def by_id(found: pa.Table) -> npt.NDArray[Any]:
    """Vectors in the order of VECTORS, for an index whose ids are OWN_IDS."""
    ids = found["id"].to_pylist()
    assert sorted(ids) == sorted(OWN_IDS.tolist())
    place = {identity: row for row, identity in enumerate(ids)}
    return matrix(found)[[place[identity] for identity in OWN_IDS.tolist()]]


def refused(data: object, *says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        list(open_source(data).batches)
    for part in says:
        assert part in str(caught.value), f"{part!r} is not in: {caught.value}"


# ---- .npy -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", "<i4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_files_keep_their_vectors(tmp_path: Path, dtype: str, order: str) -> None:
    saved = np.asarray(VECTORS * 10, dtype=dtype, order=order)
    np.save(tmp_path / "v.npy", saved)
    found = table(tmp_path / "v.npy")
    assert found.column_names == ["vector"]
    assert np.array_equal(matrix(found), saved)
    assert np.array_equal(
        matrix(table([str(tmp_path / "v.npy")] * 2)), np.concatenate([saved, saved])
    )


def test_npy_files_without_a_matrix_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", VECTORS[0])
    refused(tmp_path / "flat.npy", "flat.npy", "(8,)", "matrix (rows, dim)")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    refused(tmp_path / "objects.npy", "objects.npy", "not a whole .npy file")
    np.save(tmp_path / "cut.npy", VECTORS)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-1])
    refused(tmp_path / "cut.npy", "cut.npy", "not a whole .npy file")
    np.savez(tmp_path / "many", a=VECTORS)
    (tmp_path / "many.npz").rename(tmp_path / "many.npy")
    refused(tmp_path / "many.npy", "archive")


# ---- HDF5 -----------------------------------------------------------------------------------


def hdf5(path: Path, **data: npt.NDArray[Any]) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            file[name.replace("__", "/")] = values
    return path


def test_hdf5_with_one_matrix_needs_no_name(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "v.h5", deep__vectors=VECTORS, names=np.arange(3))
    found = table(path)
    assert found.column_names == ["vector"]
    assert np.array_equal(matrix(found), VECTORS)


@pytest.mark.parametrize("name", ["v.hdf5::train", "v.hdf5::/train"])
def test_one_of_several_data_sets_is_read_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    hdf5(tmp_path / "v.hdf5", train=VECTORS, test=VECTORS[:5], deep__half=VECTORS[:9].astype("f2"))
    assert np.array_equal(matrix(table(f"{tmp_path}/{name}")), VECTORS)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(matrix(table(Path(name))), VECTORS)
    assert matrix(table("v.hdf5::deep/half")).dtype == np.float16


def test_hdf5_files_without_a_matrix_are_refused(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "v.h5", train=VECTORS, test=VECTORS[:5])
    refused(path, "v.h5 holds 2 matrices", "test (5, 8), train (400, 8)", "v.h5::test")
    refused(f"{path}::absent", "no data set 'absent'", "train (400, 8)")
    refused(f"{tmp_path}/none.h5::train", "no file or folder")
    refused(hdf5(tmp_path / "flat.h5", ids=np.arange(3)), "flat.h5 holds 0 matrices", "ids (3,)")
    refused(f"{tmp_path}/flat.h5::ids", "'ids'", "(3,)", "matrix (rows, dim)")
    (tmp_path / "bad.h5").write_bytes(b"no HDF5")
    refused(tmp_path / "bad.h5", "bad.h5 is not a whole HDF5 file")


def test_hdf5_without_its_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "v.h5").touch()
    monkeypatch.setattr("vecsearch.common.optional.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'h5py.*"vecsearch\[hdf5\]"'):
        open_source(tmp_path / "v.h5")


# ---- FAISS ----------------------------------------------------------------------------------


def trained(factory: str, ids: npt.NDArray[np.int64] | None = None) -> Any:
    index = faiss.index_factory(8, factory)
    index.train(VECTORS)
    if ids is None:
        index.add(VECTORS)
    else:
        index.add_with_ids(VECTORS, ids)
    return index


@pytest.mark.parametrize("factory", ["Flat", "HNSW8,Flat", "IVF4,Flat", "RR8,IVF4,Flat"])
@pytest.mark.parametrize("in_file", [True, False])
def test_faiss_indexes_give_their_vectors(tmp_path: Path, factory: str, in_file: bool) -> None:
    index: Any = trained(factory)
    if in_file:
        faiss.write_index(index, str(tmp_path / "v.faiss"))
        index = tmp_path / "v.faiss"
    found = table(index)
    assert found["id"].to_pylist() == list(range(400))
    assert np.allclose(matrix(found), VECTORS, atol=1e-5)


@pytest.mark.parametrize(
    "factory", ["IDMap,Flat", "IDMap2,HNSW8,Flat", "IDMap,IVF4,Flat", "IVF4,Flat", "RR8,IVF4,Flat"]
)
def test_given_faiss_ids_are_kept(factory: str) -> None:
    index = trained(factory, OWN_IDS)
    assert np.allclose(by_id(table(index)), VECTORS, atol=1e-5)
    lists = faiss.try_extract_index_ivf(index)
    assert lists is None or lists.direct_map.no()  # the map that was needed is gone again


def test_a_faiss_index_that_compresses_gives_vectors_near_the_first(tmp_path: Path) -> None:
    faiss.write_index(trained("IVF4,SQ8"), str(tmp_path / "v.index"))
    gap = np.abs(matrix(table(tmp_path / "v.index")) - VECTORS).max()
    assert 0 < gap < 0.05


def test_faiss_indexes_without_vectors_are_refused(tmp_path: Path) -> None:
    refused(faiss.IndexBinaryFlat(8), "index of bits")
    (tmp_path / "v.faiss").write_bytes(b"IxFI no index")
    refused(tmp_path / "v.faiss", "v.faiss is not a whole FAISS index")
    refused(
        trained("PCAW4,Flat"),
        "IndexPreTransform",
        "does not give its vectors back",
        "not implemented",
    )


def test_an_empty_faiss_index_has_no_rows() -> None:
    assert list(open_source(faiss.IndexFlatL2(8)).batches) == []


# ---- hnswlib and torch ----------------------------------------------------------------------


class FakeHnsw:
    """What the adapter asks of hnswlib.Index (version 0.8)."""

    dim = 8

    def get_ids_list(self) -> list[int]:
        return [int(identity) for identity in OWN_IDS]

    def get_items(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        place = {int(identity): row for row, identity in enumerate(OWN_IDS)}
        return VECTORS[[place[int(identity)] for identity in ids]]


def test_an_index_like_hnswlib_gives_its_vectors() -> None:
    assert np.array_equal(by_id(table(FakeHnsw())), VECTORS)


def test_an_hnswlib_index_gives_its_vectors() -> None:
    hnswlib = pytest.importorskip("hnswlib")
    index = hnswlib.Index(space="l2", dim=8)
    index.init_index(400)
    index.add_items(VECTORS, OWN_IDS)
    assert np.array_equal(by_id(table(index)), VECTORS)


def test_the_weights_of_a_torch_embedding_become_vectors() -> None:
    import torch

    layer = torch.nn.Embedding.from_pretrained(torch.from_numpy(VECTORS), freeze=False)
    for data in (
        layer,
        layer.weight,
        torch.nn.EmbeddingBag.from_pretrained(torch.from_numpy(VECTORS)),
    ):
        assert np.array_equal(matrix(table(data)), VECTORS)


def test_a_collection_of_given_vectors_is_searched(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    with (
        vs.create(tmp_path / "a.vs", dim=8) as from_file,
        vs.create(tmp_path / "b.vs", dim=8) as from_index,
    ):
        assert from_file.add(tmp_path / "v.npy", progress=False).added == 400
        from_index.add(trained("IDMap,Flat", OWN_IDS), progress=False)
        assert from_index.search(VECTORS[17], k=1).ids == [OWN_IDS[17]]
        assert np.array_equal(
            from_file.search(VECTORS[17], k=3).scores, from_index.search(VECTORS[17], k=3).scores
        )


def test_reading_sources_does_not_load_faiss_or_torch() -> None:
    import subprocess

    script = (
        "import sys, vecsearch.ingest.sources\n"
        "print([name for name in ('faiss', 'torch', 'h5py') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("dtype", "metric", "largest", "refused"),
    [
        ("float16", "l2", 65504.0, 65536.0),
        ("float16", "ip", 65504.0, 1e6),
        ("float16", "cosine", 1e6, None),
        ("float32", "l2", 1e15, 1e30),
        ("float32", "ip", 65536.0, 1e30),
    ],
)
def test_numbers_up_to_the_largest_of_the_stored_type_are_taken(
    tmp_path: Path, dtype: str, metric: str, largest: float, refused: float | None
) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2, metric=metric, dtype=dtype)
    c.add([[1.0, 0.5], [-largest, largest]])
    stored = c.to_arrow()["vector"].to_pylist()
    np.testing.assert_allclose(stored, [[1.0, 0.5], [-largest, largest]], rtol=1e-3)
    if refused is not None:
        with pytest.raises(vs.InvalidInputError, match=r"row 1, column 'vector': .*too large"):
            c.add([[1.0, 0.5], [0.0, -refused], [refused, 0.0]])
    assert len(c) == 2


@pytest.mark.parametrize(
    ("kind", "read_as"),
    [
        (pa.int64(), np.float64),
        (pa.uint8(), np.float64),
        (pa.bool_(), np.float64),
        (pa.float16(), np.float16),
        (pa.float32(), np.float32),
        (pa.float64(), np.float64),
    ],
)
def test_vectors_of_a_column_keep_their_numbers(kind: pa.DataType, read_as: type) -> None:
    """Integers of 64 bits are rounded once, to float64, before they become float32."""
    rows = [[1, 0], [0, 1]]
    for outer in (pa.list_(kind), pa.list_(kind, 2), pa.large_list(kind)):
        flat = pa.array([1, 0, 0, 1]).cast(pa.float32()).cast(kind)
        array = pa.ListArray.from_arrays(pa.array([0, 2, 4], pa.int32()), flat).cast(outer)
        matrix = vector_matrix(array, 2, 0)
        assert matrix.dtype == read_as
        assert matrix.tolist() == rows


# ---- gensim ----------------------------------------------------------------------------------


def test_word_vectors_of_gensim_come_under_their_words(tmp_path: Path) -> None:
    models = pytest.importorskip("gensim.models")
    sentences = [["sea", "water", "salt"], ["sun", "light", "salt"]] * 20
    model = models.Word2Vec(sentences, vector_size=8, min_count=1, seed=1, workers=1)
    for given in (model, model.wv):
        with vs.create(tmp_path / f"{type(given).__name__}.vs", dim=8) as collection:
            assert collection.add(given).added == 5
            stored = collection.get(["sea", "salt"], columns=["id", "vector"])
            for row in stored:
                np.testing.assert_allclose(row["vector"], model.wv[row["id"]], rtol=1e-5)
    documents = [models.doc2vec.TaggedDocument(words, [n]) for n, words in enumerate(sentences)]
    both = models.Doc2Vec(documents, vector_size=8, min_count=1, workers=1)
    with (
        vs.create(tmp_path / "both.vs", dim=8) as collection,
        pytest.raises(InvalidInputError, match="is of type gensim"),
    ):
        collection.add(both)
    with vs.create(tmp_path / "tags.vs", dim=8) as collection:
        assert collection.add(both.dv).added == 40
