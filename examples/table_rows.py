"""A plain table: scikit-learn's 178 wines, each classified by the most similar rows.

pip install vecsearch;  python examples/table_rows.py
"""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from sklearn.datasets import load_wine

import vecsearch as vs
from vecsearch.training.table import fit_table


def main() -> None:
    wines = load_wine()
    table = pa.table({name: wines.data[:, n] for n, name in enumerate(wines.feature_names)})
    order = np.random.default_rng(0).permutation(table.num_rows)
    test, train = order[:50], order[50:]
    embedder = fit_table(table.take(train))
    with tempfile.TemporaryDirectory() as folder:
        collection = vs.create(Path(folder) / "wines.vs", dim=embedder.dim, metric="l2")
        vectors = embedder.embed_documents(table.take(train).to_pylist())
        rows = zip(train.tolist(), vectors, strict=True)
        collection.add(
            [
                {"id": wine, "label": int(wines.target[wine]), "vector": vector}
                for wine, vector in rows
            ]
        )
        found = collection.search_batch(embedder.embed_queries(table.take(test).to_pylist()), k=5)
        labels = [[hit["label"] for hit in hits] for hits in found]
        collection.close()
    right = [
        max(set(votes), key=votes.count) == wines.target[wine]
        for votes, wine in zip(labels, test, strict=True)
    ]
    print(f"wine: {table.num_columns} columns in {embedder.dim} dimensions")
    print(f"label by the 5 nearest: {np.mean(right):.3f} of {len(test)} right")


if __name__ == "__main__":
    main()
