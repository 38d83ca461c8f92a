"""Existing vectors: a .npy, HDF5 and Parquet file, a FAISS index and a torch.nn.Embedding.

The vectors are scikit-learn's 1,797 handwritten digits, 64 gray values each. Every collection must
find what numpy finds. pip install "vecsearch[hdf5]";  python examples/ready_made.py
"""

import tempfile
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import torch
from _data import need
from sklearn.datasets import load_digits

import vecsearch as vs


def vector_sources(folder: Path, vectors: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """The same vectors in the formats of other programs."""
    np.save(folder / "digits.npy", vectors)
    import h5py

    with h5py.File(folder / "digits.h5", "w") as file:
        file["train"], file["labels"] = vectors, labels[:, None]
    parquet.write_table(
        pa.table({"id": range(len(vectors)), "vector": list(vectors)}), folder / "digits.parquet"
    )
    index = faiss.index_factory(vectors.shape[1], "HNSW16,Flat")
    index.add(vectors)
    faiss.write_index(index, str(folder / "digits.faiss"))
    return {
        ".npy file": folder / "digits.npy",
        "HDF5 file": f"{folder / 'digits.h5'}::train",
        "Parquet file": folder / "digits.parquet",
        "FAISS index": folder / "digits.faiss",
        "nn.Embedding": torch.nn.Embedding.from_pretrained(torch.from_numpy(vectors)),
    }


def main() -> None:
    need("h5py", '"vecsearch[hdf5]"')
    digits = load_digits()
    vectors = digits.data.astype(np.float32)
    order = np.random.default_rng(0).permutation(len(vectors))
    queries, rows = order[:200], order[200:]
    distances = ((vectors[queries][:, None] - vectors[rows]) ** 2).sum(axis=2)
    nearest = np.sort(distances, axis=1)[:, :10]
    with tempfile.TemporaryDirectory() as folder:
        for name, source in vector_sources(
            Path(folder), vectors[rows], digits.target[rows]
        ).items():
            with vs.create(
                Path(folder) / f"{name}.vs", dim=vectors.shape[1], metric="l2"
            ) as collection:
                collection.add(source)
                found = [-hits.scores for hits in collection.search_batch(vectors[queries], k=10)]
            same = np.mean(
                [
                    np.allclose(scores, best, rtol=1e-4)
                    for scores, best in zip(found, nearest, strict=True)
                ]
            )
            print(
                f"{name}: {len(rows)} vectors; the 10 nearest are those of numpy for {same:.3f} of "
                f"{len(queries)} digits"
            )


if __name__ == "__main__":
    main()
